"""Maps that show clicks to a network, for batches of points."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from toolkit.clicks import DISK_RADIUS, GAUSSIAN_SIGMA
from toolkit.errors import InputError

Kind = Literal["disk", "gaussian", "euclidean"]
POSITIVE, NEGATIVE, ABSENT = 1.0, 0.0, -1.0
# Distances end here, so that the map fits 0-255 (Xu et al., "Deep Interactive Object Selection", 2016,
# section 3.1).
FARTHEST = 255.0
USUAL_SIZE = {"disk": DISK_RADIUS, "gaussian": GAUSSIAN_SIGMA, "euclidean": FARTHEST}


def guidance_maps(
    points: Tensor, height: int, width: int, kind: Kind = "disk", size: float | None = None
) -> Tensor:
    """Draw positive and negative points into two channels.

    Args:
        points: float ``[B, P, 3]``: x and y in pixels (a pixel's centre is at .5), then 1 for positive, 0 for
            negative, -1 for no point.
        height: Of the maps, pixels.
        width: Of the maps, pixels.
        kind: ``disk`` (1 up to the radius, RITM), ``gaussian`` (peak 1, merged by maximum, multi-stage
            fusion) or ``euclidean`` (distance to the nearest point, cut off and divided by the cut: 1 is
            far).
        size: Radius, standard deviation or cut in pixels; 5, 10 or 255 when not given.

    Returns:
        float ``[B, 2, H, W]``, 0–1; positive points first.

    Raises:
        InputError: There is no such kind.
    """
    if kind not in get_args(Kind):
        raise InputError(f"guidance '{kind}': expected one of {', '.join(get_args(Kind))}")
    reach = USUAL_SIZE[kind] if size is None else size
    squared = torch.stack(
        [nearest_squared(points, sign, height, width) for sign in (POSITIVE, NEGATIVE)], dim=1
    )  # [B, 2, H, W]
    if kind == "disk":
        return (squared <= reach**2).to(squared.dtype)
    if kind == "gaussian":
        return torch.exp(squared / (-2 * reach**2))
    return squared.sqrt().clamp(max=reach) / reach


def nearest_squared(points: Tensor, sign: float, height: int, width: int) -> Tensor:
    """Squared distance of each pixel's centre to the nearest point of a sign; infinite without one.

    Args:
        points: float ``[B, P, 3]``, see :func:`guidance_maps`.
        sign: 1 or 0.
        height: Pixels.
        width: Pixels.

    Returns:
        float32 ``[B, H, W]``.
    """
    rows = torch.arange(height, device=points.device, dtype=torch.float32) + 0.5
    columns = torch.arange(width, device=points.device, dtype=torch.float32) + 0.5
    nearest = torch.full((len(points), height, width), torch.inf, device=points.device)
    for index in range(points.shape[1]):  # one at a time: 50 maps of a batch at once would fill the memory
        x, y, kind = points[:, index].float().unbind(1)  # [B] each
        chosen = kind == sign
        squared = (rows - y[:, None]).square()[:, :, None] + (columns - x[:, None]).square()[:, None, :]
        squared = torch.where(chosen[:, None, None], squared, torch.inf)
        nearest = torch.minimum(nearest, squared)
    return nearest
