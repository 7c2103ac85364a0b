"""Template selection: the cells most likely to lie on the object, and those most likely not to.

Source: EMC-Click (Du et al., CVPR 2023), section 3.3, "Template selection", equations 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Templates:
    """Cells whose features guide the correction.

    Attributes:
        index: int ``[B, K]``, places in the flattened map, the best first.
        valid: bool ``[B, K]``; False where an image has fewer templates.
    """

    index: Tensor
    valid: Tensor

    def of(self, tokens: Tensor) -> Tensor:
        """Features ``[B, K, C]`` at the templates from tokens ``[B, HW, C]``; 0 where there is none."""
        index = self.index.unsqueeze(2).expand(-1, -1, tokens.shape[2])
        return tokens.gather(1, index) * self.valid.unsqueeze(2)


def click_cells(points: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Cells that clicks lie in.

    Args:
        points: float ``[B, N, 3]``, x and y in pixels of the network's input first.
        height: Of the map, cells.
        width: Of the map, cells.
        stride: Pixels per cell.

    Returns:
        int ``[B, N]``, places in the flattened map; points outside go to its nearest cell.
    """
    columns = (points[..., 0] / stride).floor().clamp(0, width - 1)
    rows = (points[..., 1] / stride).floor().clamp(0, height - 1)
    return (rows * width + columns).long()


def similarity_map(tokens: Tensor, cells: Tensor, valid: Tensor) -> Tensor:
    """V of equations 3 and 4: each cell's largest cosine similarity to any of the clicked cells.

    Args:
        tokens: float ``[B, HW, C]``.
        cells: int ``[B, N]``, places of the clicks.
        valid: bool ``[B, N]``, which clicks count.

    Returns:
        float ``[B, HW]`` in [-1, 1]; 0 in an image with no click that counts.
    """
    unit = F.normalize(tokens, dim=2)
    clicked = unit.gather(1, cells.unsqueeze(2).expand(-1, -1, unit.shape[2]))  # [B, N, C]
    similarity = clicked @ unit.transpose(1, 2)  # [B, N, HW]
    similarity = similarity.masked_fill(~valid.unsqueeze(2), -torch.inf)
    return similarity.amax(1).masked_fill(~valid.any(1, keepdim=True), 0.0)


def distance_map(cells: Tensor, valid: Tensor, height: int, width: int) -> Tensor:
    """D of equations 3 and 4: each cell's distance to the nearest clicked cell, over the map's diagonal.

    The paper says "normalized"; the diagonal bounds it by 1 on a map of any shape.

    Args:
        cells: int ``[B, N]``, places of the clicks.
        valid: bool ``[B, N]``, which clicks count.
        height: Of the map, cells.
        width: Of the map, cells.

    Returns:
        float ``[B, HW]`` in [0, 1); 0 in an image with no click that counts, where the score is that of
        likeness alone.
    """
    rows = torch.arange(height, device=cells.device).view(1, 1, height, 1)
    columns = torch.arange(width, device=cells.device).view(1, 1, 1, width)
    row, column = (cells // width)[..., None, None], (cells % width)[..., None, None]
    squared = ((rows - row) ** 2 + (columns - column) ** 2).float().flatten(2)  # [B, N, HW]
    nearest = squared.masked_fill(~valid.unsqueeze(2), torch.inf).amin(1).sqrt()  # [B, HW]
    return (nearest / (height**2 + width**2) ** 0.5).masked_fill(~valid.any(1, keepdim=True), 0.0)


def template_scores(same: Tensor, other: Tensor, distance: Tensor) -> Tensor:
    """How likely each cell lies on what the clicks of one sign are about.

    Equation 3 with V_p, V_n and D_p; equation 4 with V_n, V_p and D_n.

    Args:
        same: ``[B, HW]``, likeness to the clicks of this sign.
        other: ``[B, HW]``, likeness to those of the other.
        distance: ``[B, HW]``, normalised, to the clicks of this sign.
    """
    return (same + (1 - other)) * (1 - distance)


def top_templates(scores: Tensor, count: int) -> Templates:
    """The ``count`` best cells of scores ``[B, HW]``; all of them on a map with fewer, the rest invalid."""
    found = min(count, scores.shape[1])
    index = scores.topk(found, dim=1).indices
    valid = torch.ones_like(index, dtype=torch.bool)
    return Templates(F.pad(index, (0, count - found)), F.pad(valid, (0, count - found), value=False))


def select_templates(
    features: Tensor, cells: Tensor, positive: Tensor, negative: Tensor, count: int
) -> tuple[Templates, Templates]:
    """Positive and negative templates of each image.

    Without a click of one sign, its templates are the cells least like the clicks of the other sign.

    Args:
        features: F_u, ``[B, C, H, W]``.
        cells: int ``[B, N]``, places of the clicks.
        positive: bool ``[B, N]``, which clicks are positive.
        negative: bool ``[B, N]``, which are negative; a place that is neither pads the batch.
        count: K_p and K_n.
    """
    height, width = features.shape[2:]
    with torch.no_grad():
        tokens = features.flatten(2).transpose(1, 2)  # [B, HW, C]
        v_p, v_n = similarity_map(tokens, cells, positive), similarity_map(tokens, cells, negative)
        d_p = distance_map(cells, positive, height, width)
        d_n = distance_map(cells, negative, height, width)
        return (
            top_templates(template_scores(v_p, v_n, d_p), count),
            top_templates(template_scores(v_n, v_p, d_n), count),
        )


def clicked_templates(
    cells: Tensor, positive: Tensor, negative: Tensor, count: int
) -> tuple[Templates, Templates]:
    """The clicked cells alone, at most ``count`` of each sign: no template selection (table 4)."""
    return _clicked(cells, positive, count), _clicked(cells, negative, count)


def _clicked(cells: Tensor, valid: Tensor, count: int) -> Templates:
    order = valid.int().argsort(dim=1, descending=True, stable=True)[:, :count]  # those that count come first
    short = count - order.shape[1]
    return Templates(
        F.pad(cells.gather(1, order), (0, short)), F.pad(valid.gather(1, order), (0, short), value=False)
    )
