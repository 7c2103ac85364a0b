"""The CPN network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.cpn.config import ProposalConfig
from models.cpn.heatmap_memory import HeatmapMemory
from models.roi_align import roi_align
from models.stages import STAGE_STRIDES, StageProjections

HEATMAP_STRIDE = 4
QUERY_STRIDES = (4, 8, 16)  # P2, P3, P4
INITIAL_LOGIT = -2.19  # CenterNet: a heatmap that starts at sigmoid(-2.19) = 0.1


@dataclass(frozen=True)
class ProposalMemory:
    """What CPN computes once per scene.

    Attributes:
        features: P2, P3, P4 of one image (P3 and P4 with what C3 and C4 add), ``[C, H, W]`` each; the query
            vectors are taken from them.
        keys: Of each decoder layer, ``[1, heads, HW, C' / heads]``.
        values: The same.
        adapted: ``[C', H / 4, W / 4]``, what the aggregated query is correlated with.
        heatmaps: The last answers.
    """

    features: list[Tensor]
    keys: list[Tensor]
    values: list[Tensor]
    adapted: Tensor
    heatmaps: HeatmapMemory = field(default_factory=HeatmapMemory)

    @property
    def nbytes(self) -> int:
        """Memory that it holds beside the features, which are the scene's own."""
        own = sum(t.element_size() * t.nelement() for t in (*self.keys, *self.values, self.adapted))
        return own + self.heatmaps.nbytes


class ProposalModel(PreTrainedModel):
    """From the masks of exemplars to a heatmap of clicks on similar objects.

    Source: SimpSON, section 3.2.
    """

    config_class = ProposalConfig
    base_model_prefix = "cpn"

    def __init__(self, config: ProposalConfig) -> None:
        super().__init__(config)
        width = config.channels
        self.query_projections = nn.ModuleList(
            nn.Linear(config.feature_channels, width) for _ in QUERY_STRIDES
        )
        self.token_projections = nn.ModuleList(
            nn.Conv2d(config.feature_channels, width, 1) for _ in QUERY_STRIDES
        )
        self.token_norms = nn.ModuleList(nn.LayerNorm(width) for _ in QUERY_STRIDES)
        self.position = nn.Parameter(torch.randn(len(QUERY_STRIDES) * config.query_size**2, width) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                width, config.attention_heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in config.level_order
        )
        self.aggregate = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.adapter = _adapter(config)
        self.bias = nn.Parameter(torch.tensor(INITIAL_LOGIT))
        self.stages = None
        if config.stage_channels:
            self.stages = StageProjections(config.stage_channels, config.feature_channels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    @property
    def decoders(self) -> list[nn.TransformerDecoderLayer]:
        """The layers, whose type a ModuleList forgets."""
        return [cast(nn.TransformerDecoderLayer, layer) for layer in self.layers]

    def remember(self, pyramid: Sequence[Tensor], stages: Sequence[Tensor] = ()) -> list[ProposalMemory]:
        """The scenes' part: needed once, whatever is clicked later.

        Args:
            pyramid: P2–P5 (or P2–P4), ``[B, C, H / stride, W / stride]`` each.
            stages: C3 and C4, ``[B, C, H / stride, W / stride]`` each, for a CPN that reads them.

        Returns:
            One memory per image.
        """
        features = list(pyramid[:3])
        if self.stages is not None:
            for stride, added in zip(STAGE_STRIDES, self.stages(stages), strict=True):
                level = QUERY_STRIDES.index(stride)
                features[level] = features[level] + added
        keys, values = [], []
        for layer, stride in zip(self.decoders, self.config.level_order, strict=True):
            level = QUERY_STRIDES.index(stride)
            projected = self.token_projections[level](features[level]).flatten(2).transpose(1, 2)
            tokens = self.token_norms[level](projected)  # [B, HW, C']
            # No exemplar changes them, so no later round or click projects them again.
            key, value = keys_and_values(layer.multihead_attn, tokens)
            keys.append(key)
            values.append(value)
        if self.config.adapter_depth == 0:
            adapted = self.adapter(features[0])
        else:
            size = features[0].shape[-2:]
            upsampled = [
                F.interpolate(f, size=size, mode="bilinear", align_corners=False) for f in features[1:]
            ]
            adapted = self.adapter(torch.cat([features[0], *upsampled], 1))  # [B, C', H / 4, W / 4]
        return [
            ProposalMemory(
                [f[i] for f in features],
                [k[i : i + 1] for k in keys],
                [v[i : i + 1] for v in values],
                adapted[i],
            )
            for i in range(len(adapted))
        ]

    def queries(self, memory: ProposalMemory, masks: Tensor, boxes: Tensor) -> Tensor:
        """Masked RoI-Align vectors of the exemplars.

        Args:
            memory: The scene's part.
            masks: ``[M, H / 4, W / 4]`` coverage of each exemplar, 0–1, at stride 4.
            boxes: ``[M, 4]`` in pixels.

        Returns:
            ``[1, M · 3 · k², C']``.
        """
        k = self.config.query_size
        keep = self._keep(masks, boxes)  # [M, 1, k, k]
        vectors = []
        for level, stride in enumerate(QUERY_STRIDES):
            pooled = roi_align(memory.features[level], boxes, stride, k)  # [M, C, k, k]
            pooled = (pooled * keep).flatten(2).transpose(1, 2)  # [M, k², C]
            vectors.append(self.query_projections[level](pooled))
        stacked = torch.cat(vectors, 1) + self.position  # [M, 3 k², C']
        return stacked.flatten(0, 1)[None]

    def _keep(self, masks: Tensor, boxes: Tensor) -> Tensor:
        """1 where at least half of a bin (or the fullest bin) lies in the exemplar's mask, else 0."""
        k = self.config.query_size
        if not self.config.mask_queries:
            return masks.new_ones(len(masks), 1, k, k)
        every = roi_align(masks, boxes, HEATMAP_STRIDE, k, sampling=4)  # [M, M, k, k]: in each box each mask
        coverage = every.diagonal().permute(2, 0, 1)[:, None]  # [M, 1, k, k]: in each box its own
        fullest = coverage.amax((1, 2, 3), keepdim=True)
        return (coverage >= torch.minimum(fullest, torch.tensor(0.5, device=masks.device))).to(masks.dtype)

    def forward(
        self,
        pyramid: Sequence[Tensor],
        masks: Sequence[Tensor],
        boxes: Sequence[Tensor],
        owners: Sequence[int] | None = None,
        stages: Sequence[Tensor] = (),
    ) -> Tensor:
        """Heatmap logits ``[G, H / 4, W / 4]``: what :meth:`remember` and :meth:`heatmap` give G groups.

        Args:
            pyramid: Of B images, as for :meth:`remember`.
            masks: Of each group, as for :meth:`queries`.
            boxes: The same.
            owners: The image of each group; by default each image has one.
            stages: Of B images, as for :meth:`remember`.
        """
        memories = self.remember(pyramid, stages)  # for this pass: no answer of theirs is worth keeping
        owned = memories if owners is None else [memories[owner] for owner in owners]
        return torch.stack([self._computed(*item) for item in zip(owned, masks, boxes, strict=True)])

    def heatmap(self, memory: ProposalMemory, masks: Tensor, boxes: Tensor) -> Tensor:
        """Heatmap logits ``[H / 4, W / 4]`` for exemplars of one group; arguments as for :meth:`queries`.

        Without gradients the memory keeps the last answers, which are then not to be written to.
        """
        if torch.is_grad_enabled():
            return self._computed(memory, masks, boxes)
        return memory.heatmaps.get(masks, boxes, lambda: self._computed(memory, masks, boxes))

    def _computed(self, memory: ProposalMemory, masks: Tensor, boxes: Tensor) -> Tensor:
        x = self.queries(memory, masks, boxes)
        for layer, keys, values in zip(self.decoders, memory.keys, memory.values, strict=True):
            x = decode(layer, x, keys, values)
        kernel = self.aggregate(x.mean(1))[0]  # [C']
        scores = torch.einsum("c,chw->hw", kernel, memory.adapted)
        return scores / self.config.channels**0.5 + self.bias


def keys_and_values(attention: nn.MultiheadAttention, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What attention computes of the tokens it reads, ``[B, L, C]``: ``[B, heads, L, C / heads]`` each."""
    _, weight, more = attention.in_proj_weight.chunk(3)
    _, bias, last = attention.in_proj_bias.chunk(3)
    return (
        _heads(F.linear(tokens, weight, bias), attention.num_heads),
        _heads(F.linear(tokens, more, last), attention.num_heads),
    )


def decode(layer: nn.TransformerDecoderLayer, x: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """A decoder layer (``norm_first``) on ``x`` ``[B, Q, C]``, whose memory is projected already."""
    own = layer.norm1(x)
    x = x + layer.dropout1(layer.self_attn(own, own, own, need_weights=False)[0])
    attention = layer.multihead_attn
    weight, bias = attention.in_proj_weight.chunk(3)[0], attention.in_proj_bias.chunk(3)[0]
    queries = _heads(F.linear(layer.norm2(x), weight, bias), attention.num_heads)
    read = F.scaled_dot_product_attention(queries, keys, values)  # [B, heads, Q, C / heads]
    x = x + layer.dropout2(attention.out_proj(read.transpose(1, 2).flatten(2)))
    hidden = layer.dropout(layer.activation(layer.linear1(layer.norm3(x))))
    return x + layer.dropout3(layer.linear2(hidden))


def _heads(x: Tensor, heads: int) -> Tensor:
    """``[B, L, C]`` as ``[B, heads, L, C / heads]``, in memory too."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2).contiguous()


def _adapter(config: ProposalConfig) -> nn.Module:
    if config.adapter_depth == 0:
        if config.channels == config.feature_channels:
            return nn.Identity()
        return nn.Conv2d(config.feature_channels, config.channels, 1)
    layers: list[nn.Module] = []
    inputs = len(QUERY_STRIDES) * config.feature_channels
    for index in range(config.adapter_depth):
        layers.append(nn.Conv2d(inputs, config.channels, 3, padding=1))
        if index + 1 < config.adapter_depth:
            layers.append(nn.BatchNorm2d(config.channels))
            layers.append(nn.ReLU())
        inputs = config.channels
    return nn.Sequential(*layers)
