"""HRNet: four resolutions side by side, mixed again and again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.base import EarlyFusionBackbone
from models.backbones.compact import conv_norm

STEM = 64  # channels of the stem and of the first stage's bottlenecks
EXPANSION = 4


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv_norm(channels, channels)
        self.second = conv_norm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape ``[B, C, H, W]``."""
        return torch.relu(self.second(torch.relu(self.first(x))) + x)


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1, and a shortcut."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        outputs = channels * EXPANSION
        self.first = conv_norm(inputs, channels, kernel=1)
        self.second = conv_norm(channels, channels)
        self.third = conv_norm(channels, outputs, kernel=1)
        self.shortcut = conv_norm(inputs, outputs, kernel=1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, C, H, W]`` to ``[B, 4 · channels, H, W]``."""
        inner = self.third(torch.relu(self.second(torch.relu(self.first(x)))))
        return torch.relu(inner + self.shortcut(x))


class Exchange(nn.Module):
    """Blocks at each resolution, then every resolution is added to every other one."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*[BasicBlock(width) for _ in range(blocks)]) for width in widths
        )
        self.paths = nn.ModuleList(
            nn.ModuleList(self._path(widths, source, target) for source in range(len(widths)))
            for target in range(len(widths))
        )

    @staticmethod
    def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source > target:
            return conv_norm(widths[source], widths[target], kernel=1)
        steps: list[nn.Module] = []
        for step in range(target - source):
            last = step == target - source - 1
            steps.append(conv_norm(widths[source], widths[target if last else source], stride=2))
            steps += [] if last else [nn.ReLU()]
        return nn.Sequential(*steps)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Keep the shapes of the maps, largest first."""
        maps = [branch(x) for branch, x in zip(self.branches, maps, strict=True)]
        mixed = []
        for target, paths in enumerate(self.paths):
            size = maps[target].shape[-2:]
            parts = [path(x) for path, x in zip(paths, maps, strict=True)]  # type: ignore[call-overload]
            grown = [
                p if p.shape[-2:] == size else F.interpolate(p, size, mode="bilinear", align_corners=False)
                for p in parts
            ]
            mixed.append(torch.relu(torch.stack(grown).sum(0)))
        return mixed


class HighResolutionBackbone(EarlyFusionBackbone):
    """HRNetV2 with BatchNorm.

    Source: Wang et al., "Deep High-Resolution Representation Learning" (2019), section 3; the small variant
    (half the blocks, fewer exchanges) is the W18-Small-v2 of the authors' code.

    Args:
        width: Channels at stride 4; twice as many at each further stride.
        small: The small variant.
    """

    def __init__(self, width: int = 18, small: bool = False) -> None:
        super().__init__()
        blocks = 2 if small else 4
        exchanges = (1, 3, 2) if small else (1, 4, 3)
        widths = [width * 2**level for level in range(4)]
        self.stem = nn.ModuleList([conv_norm(3, STEM, stride=2), conv_norm(STEM, STEM, stride=2)])
        wide = STEM * EXPANSION
        self.first = nn.Sequential(*[Bottleneck(STEM if i == 0 else wide, STEM) for i in range(blocks)])
        self.divide = nn.ModuleList([conv_norm(wide, widths[0]), conv_norm(wide, widths[1], stride=2)])
        self.enter = nn.ModuleList(
            [conv_norm(widths[1], widths[2], stride=2), conv_norm(widths[2], widths[3], stride=2)]
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*[Exchange(widths[: level + 2], blocks) for _ in range(count)])
            for level, count in enumerate(exchanges)
        )
        self.channels = tuple(widths)
        self.early_channels = STEM

    def forward(self, pixels: Tensor, added: Tensor | None = None) -> list[Tensor]:
        """See :class:`EarlyFusionBackbone`."""
        x = torch.relu(self.stem[0](pixels))
        x = torch.relu(self.stem[1](x if added is None else x + added))
        x = self.first(x)
        maps = [torch.relu(conv(x)) for conv in self.divide]
        maps = self.stages[0](maps)
        for conv, stage in zip(self.enter, self.stages[1:], strict=True):
            maps = stage([*maps, torch.relu(conv(maps[-1]))])
        return maps
