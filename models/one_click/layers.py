"""Convolution stacks that run alike on whole maps and on windows cut out of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def normalisation(kind: str, channels: int) -> nn.Module:
    """BatchNorm, or GroupNorm of 32 groups (fewer where the channels do not divide)."""
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    groups = 32
    while channels % groups:
        groups //= 2
    return nn.GroupNorm(groups, channels)


class ConvUnit(nn.Module):
    """3×3 convolution, normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = normalisation(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', H, W]``, zero-padded; last channels left out count as zeros."""
        weight = self.conv.weight[:, : x.shape[1]]
        return self.norm(nn.functional.conv2d(x, weight, self.conv.bias, padding=1)).relu()

    def on_windows(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """The same on windows, one cell less on each side.

        Args:
            x: ``[N, C, S, S]``; cells outside the image hold zeros.
            inside: ``[N, 1, S, S]``, 1 where a cell lies in the image; None where all do.

        Returns:
            ``[N, C', S - 2, S - 2]``, again zero outside the image: what zero padding gives the next layer.
        """
        y = nn.functional.conv2d(x, self.conv.weight, self.conv.bias)
        return self.activated(y, shrink_inside(inside, 1))

    def activated(self, y: Tensor, inside: Tensor | None) -> Tensor:
        """What windows ``[N, C', S, S]`` of the convolution's output become; zero outside the image.

        Args:
            y: Of cells outside the image, anything finite.
            inside: ``[N, 1, S, S]``, 1 where a cell lies in the image; None where all do.
        """
        z = self.norm(y).relu_()
        return z if inside is None else z * inside


class Tower(nn.Module):
    """A stack of ``ConvUnit``."""

    def __init__(self, inputs: int, channels: int, depth: int, norm: str) -> None:
        super().__init__()
        self.units: Sequence[ConvUnit] = nn.ModuleList(  # type: ignore[assignment]  # typed by its content
            ConvUnit(inputs if index == 0 else channels, channels, norm) for index in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C', H, W]``."""
        for unit in self.units:
            x = unit(x)
        return x

    def on_windows(self, x: Tensor, inside: Tensor | None) -> Tensor:
        """The same on windows; each unit takes one cell off every side."""
        return _in_turn(self.units, x, inside)

    def from_first(self, first: Tensor, inside: Tensor | None) -> Tensor:
        """The same on windows of what the first unit's convolution gives.

        Args:
            first: ``[N, C', S, S]``, not normalised yet; of cells outside the image, anything finite.
            inside: ``[N, 1, S, S]``, 1 where a cell lies in the image; None where all do.

        Returns:
            ``[N, C', S - 2 (depth - 1), …]``.
        """
        return _in_turn(self.units[1:], self.units[0].activated(first, inside), inside)


def _in_turn(units: Sequence[ConvUnit], x: Tensor, inside: Tensor | None) -> Tensor:
    for depth, unit in enumerate(units):
        x = unit.on_windows(x, shrink_inside(inside, depth))
    return x


def shrink(windows: Tensor, cells: int) -> Tensor:
    """Take ``cells`` off every side of ``[N, C, S, S]``."""
    return windows if cells == 0 else windows[..., cells:-cells, cells:-cells]


def shrink_inside(inside: Tensor | None, cells: int) -> Tensor | None:
    """The same of what says which cells lie in the image; None where all do."""
    return None if inside is None else shrink(inside, cells)
