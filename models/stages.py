"""The backbone's own maps beside the pyramid, for networks that tell kinds of objects apart.

A 1C-DSN's pyramid learned to find boxes and masks of anything. Kinds are told apart by what the backbone
knows before that: the cosine between the means in two masks says better on C3 and C4 than on P2 to P5 whether
both show siblings (``models/RESULTS.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import PreTrainedModel

if TYPE_CHECKING:
    from models.one_click import OneClickModel

STAGE_STRIDES = (8, 16)  # C3, C4

# The projections start at zero beside weights that may have learned for long: this many times their output
# lets an optimiser like Adam move them as many times faster.
GAIN = 3.0


class StageProjections(nn.Module):
    """Projections of C3 and C4 to the pyramid's channels; zeros at first.

    Args:
        inputs: Channels of each map.
        outputs: Channels of the pyramid.
    """

    def __init__(self, inputs: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels, affine=False) for channels in inputs)
        self.convs: Sequence[nn.Conv2d] = nn.ModuleList(  # type: ignore[assignment]  # typed by its content
            nn.Conv2d(channels, outputs, 1) for channels in inputs
        )
        for conv in self.convs:
            nn.init.zeros_(conv.weight)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """What each map ``[N, C, H, W]`` adds to a pyramid level or to patches of one, ``[N, C', H, W]``."""
        return [GAIN * conv(norm(one)) for norm, conv, one in zip(self.norms, self.convs, maps, strict=True)]


def input_channels(one_click: OneClickModel, stages: bool) -> dict[str, Any]:
    """What the configurations of CPN and PVM say of the features that they read.

    Args:
        one_click: Whose features they are.
        stages: Whether its backbone's own maps are read, too.
    """
    return {
        "feature_channels": one_click.config.pyramid_channels,
        "stage_channels": one_click.stage_channels if stages else [],
    }


def misfit(reader: PreTrainedModel, one_click: OneClickModel) -> str | None:
    """What a CPN or PVM should read to fit a 1C-DSN, such as "features of 64 channels"; None if it does."""
    expected = input_channels(one_click, bool(reader.config.stage_channels))
    if {name: getattr(reader.config, name) for name in expected} == expected:
        return None
    stages = " and ".join(map(str, expected["stage_channels"]))
    features = f"features of {expected['feature_channels']} channels"
    return f"{features} and backbone maps of {stages}" if stages else features
