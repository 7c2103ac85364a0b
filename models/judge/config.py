"""Configuration of the judge."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class JudgeConfig(PretrainedConfig):
    """Shape of a judge.

    Args:
        hidden: Width of all layers.
        rounds: How often candidates learn about each other.
        dropout: Of the hidden values, in training.
    """

    model_type = "declutter-judge"

    def __init__(self, hidden: int = 64, rounds: int = 2, dropout: float = 0.2, **kwargs: Any) -> None:
        self.hidden = hidden
        self.rounds = rounds
        self.dropout = dropout
        super().__init__(**kwargs)
