"""The PVM network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.backbones import build_backbone
from models.pixels import normalised
from models.pvm.config import VerificationConfig
from models.roi_align import roi_align, square_boxes
from models.stages import STAGE_STRIDES, StageProjections

FEATURE_STRIDE = 4
SCALE_UNIT = 224.0  # paper, section 3.3: the scaling factor is w_b / 224
INITIAL_STEEPNESS = -4.0  # of the similarity over the distance, whose margin is 1: 0.5 lies at distance 0.5


@dataclass(frozen=True)
class ObjectInputs:
    """N objects, cut out.

    Attributes:
        patches: ``[N, 3, crop, crop]`` RGB 0–255.
        features: ``[N, C, grid, grid]`` of P2, and after it of C3 and C4 where those are read.
        coverage: ``[N, 1, grid, grid]`` of the mask, 0–1.
        sides: ``[N, 1]``, larger sides of the boxes, pixels.
    """

    patches: Tensor
    features: Tensor
    coverage: Tensor
    sides: Tensor

    @staticmethod
    def join(parts: Sequence[ObjectInputs]) -> ObjectInputs:
        """Objects of several images in one batch."""
        return ObjectInputs(
            torch.cat([p.patches for p in parts]),
            torch.cat([p.features for p in parts]),
            torch.cat([p.coverage for p in parts]),
            torch.cat([p.sides for p in parts]),
        )


class VerificationModel(PreTrainedModel):
    """Embeddings of masked objects, and whether two of them are alike.

    Source: SimpSON, section 3.3 and figure 3.
    """

    config_class = VerificationConfig
    base_model_prefix = "pvm"

    def __init__(self, config: VerificationConfig) -> None:
        super().__init__(config)
        self.backbone = build_backbone(config.backbone, config.backbone_settings)
        joined = self.backbone.channels[-1] + self.backbone.channels[-2] + config.feature_channels
        joined += 1 if config.use_mask else 0
        self.join = nn.Sequential(
            nn.Conv2d(joined, config.hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.hidden),
            nn.ReLU(),
            nn.Conv2d(config.hidden, config.hidden, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.hidden),
            nn.ReLU(),
        )
        self.stages = None
        if config.stage_channels:
            self.stages = StageProjections(config.stage_channels, config.feature_channels)
        self.embed_head = nn.Linear(2 * config.hidden + (1 if config.use_scale else 0), config.embedding)
        self.similarity_head = nn.Linear(1, 1)
        nn.init.constant_(self.similarity_head.weight, INITIAL_STEEPNESS)
        nn.init.constant_(self.similarity_head.bias, -INITIAL_STEEPNESS / 2)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def gather(
        self,
        image: Tensor,
        feature: Tensor,
        masks: Tensor,
        boxes: Tensor,
        stages: Sequence[Tensor] = (),
    ) -> ObjectInputs:
        """Cut N objects out of one image.

        Args:
            image: ``[3, H, W]`` RGB 0–255, float.
            feature: P2, ``[C, H / 4, W / 4]``.
            masks: ``[N, H / 4, W / 4]`` coverage 0–1 at stride 4.
            boxes: ``[N, 4]`` pixels.
            stages: C3 and C4, ``[C, H / stride, W / stride]`` each, for a PVM that reads them.
        """
        c = self.config
        regions = square_boxes(boxes) if c.use_square else boxes
        coverage = [
            roi_align(m[None], r[None], FEATURE_STRIDE, c.grid, sampling=4)
            for m, r in zip(masks, regions, strict=True)
        ]
        maps = [(feature, FEATURE_STRIDE)]
        if c.stage_channels:
            maps += zip(stages, STAGE_STRIDES, strict=True)
        return ObjectInputs(
            patches=roi_align(image, regions, 1.0, c.crop, sampling=2),
            features=torch.cat([roi_align(one, regions, stride, c.grid) for one, stride in maps], 1),
            coverage=torch.cat(coverage),
            sides=(boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True),
        )

    def forward(self, inputs: ObjectInputs) -> Tensor:
        """Embeddings ``[N, E]`` of objects, of one image or of several joined."""
        c = self.config
        maps = self.backbone(normalised(inputs.patches, c.image_mean, c.image_std, inputs.patches.dtype))
        size = (c.grid, c.grid)
        parts = [F.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps[-2:]]
        parts.append(self._joined_features(inputs.features.to(parts[0].dtype)))
        coverage = inputs.coverage.to(parts[0].dtype)
        if c.use_mask:
            parts.append(coverage)
        x = self.join(torch.cat(parts, 1))  # [N, hidden, grid, grid]
        pooled = x.mean((2, 3))
        if c.use_mask:
            weight = coverage / coverage.sum((2, 3), keepdim=True).clamp(min=1e-4)
            pooled = torch.cat([pooled, (x * weight).sum((2, 3))], 1)  # [N, 2 hidden]
        else:
            pooled = torch.cat([pooled, x.amax((2, 3))], 1)
        if c.use_scale:
            pooled = torch.cat([pooled, (inputs.sides / SCALE_UNIT).to(pooled.dtype)], 1)
        return self.embed_head(pooled)

    def _joined_features(self, features: Tensor) -> Tensor:
        """P2's patches with what C3's and C4's add, ``[N, C, grid, grid]``."""
        if self.stages is None:
            return features
        own, *maps = torch.split(features, [self.config.feature_channels, *self.config.stage_channels], 1)
        return own + sum(self.stages(maps))

    def similarity_logits(self, distance: Tensor) -> Tensor:
        """Logit that two objects are alike, from the Euclidean distance of their embeddings, any shape."""
        return self.similarity_head(distance[..., None])[..., 0]

    def similarity(self, target: Tensor, sources: Tensor) -> Tensor:
        """How alike one target ``[E]`` (or several, ``[T, E]``) and N sources ``[N, E]`` are: 0–1, ``[N]``.

        With several targets the best match counts.
        """
        targets = target if target.ndim == 2 else target[None]
        distance = pairwise_distance(sources, targets)  # [N, T]
        return self.similarity_logits(distance).sigmoid().amax(1)


def pairwise_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances ``[N, M]`` of ``[N, E]`` and ``[M, E]``, differentiable at zero."""
    return ((a[:, None] - b[None]) ** 2).sum(2).clamp(min=1e-8).sqrt()
