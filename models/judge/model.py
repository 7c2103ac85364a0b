"""The judge's network."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel

from models.judge.config import JudgeConfig
from models.judge.features import FEATURES
from models.set_encoder import SetEncoder


class JudgeModel(PreTrainedModel):
    """Says how right each object is that a selection found. No part of SimpSON."""

    config: JudgeConfig
    config_class = JudgeConfig
    base_model_prefix = "judge"

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__(config)
        self.encoder = SetEncoder(len(FEATURES), config.hidden, config.rounds, config.dropout)
        self.out = nn.Linear(config.hidden, 1)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def forward(self, features: Tensor, alike: Tensor, present: Tensor) -> Tensor:
        """Logits ``[B, N]`` of how right each candidate of B selections is.

        Args:
            features: float ``[B, N, len(FEATURES)]``, see :mod:`models.judge.features`.
            alike: float ``[B, N, N]``, PVM's similarity of each with each, 0–1.
            present: bool ``[B, N]``; what is False is padding.
        """
        logits: Tensor = self.out(self.encoder(features, alike, present))[..., 0]
        return logits
