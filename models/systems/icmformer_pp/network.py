"""The iCMFormer++ network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.systems.icmformer.blocks import run_blocks, vit_blocks
from models.systems.icmformer.tokens import TokenNetwork
from models.systems.icmformer_pp.config import IcmformerPPConfig
from models.systems.icmformer_pp.exemplar import (
    EncodedExemplar,
    ExemplarInput,
    chosen_points,
    no_exemplar,
    outside_of,
)
from models.systems.icmformer_pp.fusion import ChannelFusion, RecallBlock
from models.systems.icmformer_pp.likeness import LikenessModule, grown_boxes

RULED_OUT = -20.0  # logit of the exemplar's own pixels: probability 2e-9


class IcmformerPPNetwork(TokenNetwork):
    """Photo and exemplar in one branch, photo and clicks in the other; the second asks the first.

    Without an exemplar the first branch sees the photo alone, and the network selects the clicked object.
    (The paper takes iCMFormer for that; one network, trained without one now and then, is our choice.)

    Source: iCMFormer++, section 3 and figure 2.
    """

    config_class = IcmformerPPConfig
    config: IcmformerPPConfig

    def __init__(self, config: IcmformerPPConfig) -> None:
        c = config
        super().__init__(c, c.represent_blocks + c.branch_blocks)  # S1 and the recall branch
        self.exemplar_stem = self.three_channel_stem()
        self.exemplar_blocks = vit_blocks(c.branch_blocks, c.width, c.heads, c.mlp_ratio)
        self.likeness = LikenessModule(c) if c.exemplar_informed and c.cross_attention else None
        self.cross = nn.ModuleList(
            RecallBlock(c.width, c.heads, c.mlp_ratio, c.dropout)
            for _ in range(c.cross_blocks if c.cross_attention else 0)
        )
        self.fusion = ChannelFusion(c.width) if c.fusion == "channel" else None
        own = c.fuse_blocks if c.fusion == "self" else 0
        self.fuse_blocks = vit_blocks(own, c.width, c.heads, c.mlp_ratio)
        self.post_init()

    def load_backbone(self, source: str) -> None:
        """Put pretrained weights into the backbone; the exemplar branch starts like the recall branch."""
        super().load_backbone(source)
        recall = list(self.backbone.blocks)[self.config.represent_blocks :]
        for own, other in zip(self.exemplar_blocks, recall, strict=True):
            own.load_state_dict(other.state_dict())

    def encode_exemplar(self, image: Tensor, exemplar: ExemplarInput) -> EncodedExemplar:
        """Run what depends on the photo ``[B, 3, H, W]`` and its exemplars alone."""
        tokens = self.exemplar_tokens(image, exemplar)
        if self.likeness is None:
            return EncodedExemplar(tokens, None, None, exemplar.mask)
        kernels, counted = self.exemplar_kernels(image, exemplar)
        return EncodedExemplar(tokens, kernels, counted, exemplar.mask)

    def exemplar_tokens(self, image: Tensor, exemplar: ExemplarInput) -> Tensor:
        """The exemplar branch: ``[B, N, C]``."""
        c = self.config
        height, width = image.shape[-2:]
        points = chosen_points(exemplar.points, c.exemplar_positives, c.exemplar_negatives)
        mask = exemplar.mask.to(self.dtype) * float(c.exemplar_mask)
        tokens = self.exemplar_stem(torch.cat([self.guidance(points, height, width), mask], dim=1))
        if c.exemplar_image != "none":
            pixels = self.normalise(image)
            if c.exemplar_image == "masked":
                boxes = grown_boxes(exemplar.boxes, max(c.scales), height, width)
                pixels = pixels.masked_fill(outside_of(boxes, height, width), 0.0)
            tokens = tokens + self.backbone.stem(pixels)
        return self._branch(tokens, list(self.exemplar_blocks))

    def exemplar_kernels(self, image: Tensor, exemplar: ExemplarInput) -> tuple[Tensor, Tensor]:
        """What the exemplars look like; see :meth:`LikenessModule.kernels`; without one, none counts."""
        if self.likeness is None:
            raise ValueError("the network has no exemplar-informed module")
        kernels, counted = self.likeness.kernels(self.normalise(image), exemplar.mask, exemplar.boxes)
        there = exemplar.boxes[:, 2] > exemplar.boxes[:, 0]
        return kernels, counted & there[:, None]

    def _branch(self, tokens: Tensor, blocks: list[nn.Module]) -> Tensor:
        """S1, then a branch's own blocks, on tokens ``[B, C, h, w]``; returns ``[B, N, C]``."""
        grid = (tokens.shape[-2], tokens.shape[-1])
        shared = list(self.backbone.blocks)[: self.config.represent_blocks]
        found = run_blocks(shared, self.backbone.located(tokens), grid, self.config.window)
        return run_blocks(blocks, found, grid, self.config.window)

    def forward(
        self,
        image: Tensor,
        points: Tensor,
        previous: Tensor,
        exemplar: ExemplarInput | EncodedExemplar | None = None,
        features: Tensor | None = None,
    ) -> Tensor:
        """See :class:`models.systems.clicking.network.ClickNetwork`.

        Args:
            image: ``[B, 3, H, W]``.
            points: ``[B, P, 3]``.
            previous: ``[B, 1, H, W]``.
            exemplar: Of each picture, perhaps encoded before; None for none.
            features: The photo's features of :meth:`LikenessModule.features`, where they are known.

        Returns:
            Logits ``[B, 1, H, W]``; the exemplars' own pixels are ruled out.
        """
        grid = self.grid(image)
        if not isinstance(exemplar, EncodedExemplar):
            exemplar = self.encode_exemplar(image, exemplar or no_exemplar(image))
        pixels = self.normalise(image)
        tokens = self.backbone.stem(pixels) + self.click_tokens(points, previous)
        recall = self._branch(tokens, list(self.backbone.blocks)[self.config.represent_blocks :])
        guide = None
        if self.likeness is not None and exemplar.kernels is not None and exemplar.counted is not None:
            features = self.likeness.features(pixels) if features is None else features
            response = self.likeness(features, exemplar.kernels, exemplar.counted)
            guide = self.likeness.guided(response.to(recall.dtype), grid)
        for block in self.cross:
            recall = block(recall, exemplar.tokens, guide)
        fused = self._fuse(exemplar.tokens, recall, grid)
        return self.read(fused, (image.shape[-2], image.shape[-1])).masked_fill(
            exemplar.mask > 0.5, RULED_OUT
        )

    def _fuse(self, exemplar: Tensor, recall: Tensor, grid: tuple[int, int]) -> Tensor:
        exemplar = exemplar.expand(len(recall), -1, -1)
        if self.fusion is not None:
            return self.fusion(exemplar, recall, grid)
        return run_blocks(self.fuse_blocks, exemplar + recall, grid, self.config.window)
