"""A task's network under its own type."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def as_network(model: nn.Module, kind: type[Network]) -> Network:
    """The same model, known to be of a kind.

    Raises:
        TypeError: It is another one.
    """
    if not isinstance(model, kind):
        raise TypeError(f"expected a {kind.__name__}, got {type(model).__name__}")
    return model
