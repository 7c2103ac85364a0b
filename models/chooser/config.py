"""Configuration of the chooser."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class ChooserConfig(PretrainedConfig):
    """Shape of a chooser.

    Args:
        hidden: Width of all layers.
        rounds: How often proposals learn about each other.
        dropout: Of the hidden values, in training.
    """

    model_type = "declutter-chooser"

    def __init__(self, hidden: int = 128, rounds: int = 2, dropout: float = 0.2, **kwargs: Any) -> None:
        self.hidden = hidden
        self.rounds = rounds
        self.dropout = dropout
        super().__init__(**kwargs)
