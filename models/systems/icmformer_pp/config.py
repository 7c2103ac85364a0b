"""Configuration of iCMFormer++."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from models.systems.icmformer.config import IcmformerConfig


class IcmformerPPConfig(IcmformerConfig):
    """Shape of an iCMFormer++; the defaults are the compact one.

    Args:
        branch_blocks: Self-attention blocks of the exemplar branch, and of the recall branch, after S1.
        cross_attention: Whether recall tokens ask exemplar tokens (Table 5, "CA").
        fusion: How the branches come together: ``channel`` (Table 5, "CF"), ``self`` (sum, then S2's
            ``fuse_blocks`` self-attention blocks as in iCMFormer, "SF"), or ``sum`` alone.
        exemplar_informed: Whether likeness to the exemplar guides the queries (Table 5, "EIM").
        exemplar_image: What the exemplar branch sees of the photo (Table 6): ``whole``, ``masked`` (nothing
            outside of the largest box around the exemplar) or ``none``.
        exemplar_mask: Whether it sees the exemplar's mask (Table 6).
        exemplar_positives: Which of its positive clicks it sees (Table 7): ``all``, ``first`` or ``none``.
        exemplar_negatives: Which of its negative clicks (Tables 6, 7): ``true`` ones, ``all`` (pseudo
            negative ones too) or ``none``.
        likeness_backbone: Whose features the exemplar-informed module compares (Table 9): ``compact``,
            ``resnet-18``, ``resnet-50``.
        likeness_settings: Arguments of that backbone.
        likeness_channels: Of the space in which exemplar and photo are compared.
        scales: Of the boxes around the exemplar (section 4.3).
        patch_side: To which each box is brought, pixels.
        masked_kernels: Whether only what lies on the exemplar's mask is compared. The paper does not say;
            without it a kernel of background finds background.
        recalls: What a mask is of, once there is an exemplar: ``all`` other objects of its kind, as one mask
            (the paper), or the ``one`` that is clicked.
        zoom_in: See :class:`ClickConfig`; both branches look at the same view, so it stays off.
    """

    model_type = "declutter-icmformer-pp"

    def __init__(
        self,
        branch_blocks: int = 1,
        cross_attention: bool = True,
        fusion: Literal["channel", "self", "sum"] = "channel",
        exemplar_informed: bool = True,
        exemplar_image: Literal["whole", "masked", "none"] = "whole",
        exemplar_mask: bool = True,
        exemplar_positives: Literal["all", "first", "none"] = "all",
        exemplar_negatives: Literal["true", "all", "none"] = "true",
        likeness_backbone: str = "compact",
        likeness_settings: Mapping[str, Any] | None = None,
        likeness_channels: int = 64,
        scales: Sequence[float] = (0.8, 1.0, 1.2),
        patch_side: int = 64,
        masked_kernels: bool = True,
        recalls: Literal["all", "one"] = "all",
        input_size: int = 320,
        zoom_in: bool = False,
        **kwargs: Any,
    ) -> None:
        self.branch_blocks = branch_blocks
        self.cross_attention = cross_attention
        self.fusion = fusion
        self.exemplar_informed = exemplar_informed
        self.exemplar_image = exemplar_image
        self.exemplar_mask = exemplar_mask
        self.exemplar_positives = exemplar_positives
        self.exemplar_negatives = exemplar_negatives
        self.likeness_backbone = likeness_backbone
        self.likeness_settings = dict(likeness_settings or {})
        self.likeness_channels = likeness_channels
        self.scales = list(scales)
        self.patch_side = patch_side
        self.masked_kernels = masked_kernels
        self.recalls = recalls
        super().__init__(input_size=input_size, zoom_in=zoom_in, **kwargs)
