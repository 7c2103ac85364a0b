"""What a system costs: its parameters, and the FLOPs of the first and of a later click."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.clicks import next_click
from toolkit.flops import count_flops
from toolkit.systems import Scene, SizedSystem, System


def measure_costs(system: System, image: np.ndarray, mask: np.ndarray) -> dict[str, Any]:
    """Count parameters, and FLOPs of clicking one object.

    Args:
        system: what is measured.
        image: uint8 [H, W, 3], a photo.
        mask: bool [H, W], an object in it; it is clicked twice on its deepest pixels, whatever comes back, so
            that all systems get the same clicks.

    Returns:
        parameters (None where the system does not say); flops_first (encoding and the first click) and
        flops_later (the second), a multiplication and an addition counting as two. Only what torch computes
        is counted: both are None for a system that computes nothing with it.
    """
    first = next_click(mask, np.zeros_like(mask))
    clicks = [] if first is None else [first]
    second = next_click(mask, np.zeros_like(mask), clicks)
    scenes: list[Scene] = []
    flops_first = count_flops(lambda: scenes.append(system.encode(image)))
    flops_first += count_flops(lambda: scenes[0].segment(clicks)) if clicks else 0
    flops_later = None if second is None else count_flops(lambda: scenes[0].segment([*clicks, second]))
    return {
        "parameters": system.parameters if isinstance(system, SizedSystem) else None,
        "flops_first": flops_first or None,
        "flops_later": flops_later if flops_first else None,
    }
