"""Configuration of the chooser."""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig


class ChooserConfig(PretrainedConfig):
    """Shape of a chooser.

    Args:
        hidden: Width of both hidden layers.
        dropout: Of the hidden values, in training.
    """

    model_type = "declutter-chooser"

    def __init__(self, hidden: int = 128, dropout: float = 0.2, **kwargs: Any) -> None:
        self.hidden = hidden
        self.dropout = dropout
        super().__init__(**kwargs)
