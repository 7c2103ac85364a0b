"""The chooser's network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from transformers import PreTrainedModel

from models.chooser.config import ChooserConfig
from models.chooser.features import FEATURES
from models.set_encoder import SetEncoder

ABSENT = -1e4  # logit of what is only padding


@dataclass(frozen=True)
class Weighed:
    """What the chooser says of B clicks with up to N proposals each.

    Attributes:
        logits: ``[B, N]``; their softmax says what part each proposal has in the answer.
        offsets: ``[B, N]``, added to the logits of each proposal's mask: it may be too small or too large.
    """

    logits: Tensor
    offsets: Tensor


class ChooserModel(PreTrainedModel):
    """Weighs the proposals of a click; those that overlap learn of each other. No part of SimpSON."""

    config: ChooserConfig
    config_class = ChooserConfig
    base_model_prefix = "chooser"

    def __init__(self, config: ChooserConfig) -> None:
        super().__init__(config)
        self.encoder = SetEncoder(len(FEATURES), config.hidden, config.rounds, config.dropout)
        self.out = nn.Linear(config.hidden, 2)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def forward(self, features: Tensor, overlaps: Tensor, present: Tensor) -> Weighed:
        """Weigh the proposals of B clicks.

        Args:
            features: float ``[B, N, len(FEATURES)]``, see :mod:`models.chooser.features`.
            overlaps: float ``[B, N, N]``, IoUs of the proposals with each other.
            present: bool ``[B, N]``; what is False is padding.
        """
        logits, offsets = self.out(self.encoder(features, overlaps**2, present)).unbind(-1)
        return Weighed(logits.masked_fill(~present, ABSENT), offsets.masked_fill(~present, 0.0))
