"""The chooser's network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from models.chooser.config import ChooserConfig
from models.chooser.features import FEATURES

ABSENT = -1e4  # logit of what is only padding


class ChooserModel(PreTrainedModel):
    """A logit for each proposal of a click, from its own numbers and the mean over all proposals.

    Source: no part of SimpSON; the sum over a set is Deep Sets' (Zaheer et al., 2017, section 2).
    """

    config: ChooserConfig
    config_class = ChooserConfig
    base_model_prefix = "chooser"

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: ChooserConfig) -> None:
        super().__init__(config)
        self.register_buffer("mean", torch.zeros(len(FEATURES)))
        self.register_buffer("deviation", torch.ones(len(FEATURES)))
        self.own = nn.Sequential(
            nn.Linear(len(FEATURES), config.hidden), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.joint = nn.Sequential(
            nn.Linear(2 * config.hidden, config.hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, 1),
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def forward(self, features: Tensor, present: Tensor) -> Tensor:
        """Logits ``[B, N]`` of B clicks with up to N proposals.

        Args:
            features: float ``[B, N, len(FEATURES)]``, see :mod:`models.chooser.features`.
            present: bool ``[B, N]``; what is False is padding.
        """
        own = self.own((features - self.mean) / self.deviation)  # [B, N, H]
        weights = present.to(own.dtype)[..., None]
        mean = (own * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1)
        logits = self.joint(torch.cat([own, mean.expand_as(own)], -1))[..., 0]
        return logits.masked_fill(~present, ABSENT)
