"""The iCMFormer network."""

from __future__ import annotations

from torch import Tensor, nn

from models.systems.icmformer.blocks import CrossModalityBlock, run_blocks
from models.systems.icmformer.config import IcmformerConfig
from models.systems.icmformer.tokens import TokenNetwork


class IcmformerNetwork(TokenNetwork):
    """Photo and clicks as two streams of tokens that meet in cross-modality blocks.

    Source: Li et al., "Interactive Image Segmentation with Cross-Modality Vision Transformers" (ICCV
    workshops 2023), as told again in iCMFormer++, section 3.2.
    """

    def __init__(self, config: IcmformerConfig) -> None:
        c = config
        super().__init__(c, c.represent_blocks + c.fuse_blocks)
        self.cross = nn.ModuleList(
            CrossModalityBlock(c.width, c.heads, c.mlp_ratio, c.queries) for _ in range(c.cross_blocks)
        )
        self.post_init()

    def represent(self, image: Tensor) -> Tensor:
        """Tokens of a photo ``[B, 3, H, W]`` after S1, ``[B, N, C]``: the same for all clicks on it."""
        return self._shared(self.backbone.stem(self.normalise(image)))

    def _shared(self, tokens: Tensor) -> Tensor:
        blocks = list(self.backbone.blocks)[: self.config.represent_blocks]
        grid = (tokens.shape[-2], tokens.shape[-1])
        return run_blocks(blocks, self.backbone.located(tokens), grid, self.config.window)

    def forward(
        self, image: Tensor, points: Tensor, previous: Tensor, represented: Tensor | None = None
    ) -> Tensor:
        """See :class:`models.systems.clicking.network.ClickNetwork`.

        Args:
            image: ``[B, 3, H, W]``.
            points: ``[B, P, 3]``.
            previous: ``[B, 1, H, W]``.
            represented: What :meth:`represent` gave for the same image, ``[B, N, C]`` or ``[1, N, C]``.
        """
        seen = self.represent(image) if represented is None else represented
        clicks = self._shared(self.click_tokens(points, previous))
        seen = seen.expand(len(clicks), -1, -1)
        for block in self.cross:
            seen, clicks = block(seen, clicks)
        return self.decode(seen + clicks, (image.shape[-2], image.shape[-1]))

    def decode(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Run S2 and the head on fused tokens ``[B, N, C]``; logits ``[B, 1, H, W]`` of the given size."""
        blocks = list(self.backbone.blocks)[self.config.represent_blocks :]
        return self.read(run_blocks(blocks, tokens, self.grid_of(*size), self.config.window), size)
