"""How large a thing a view of a photo can judge.

The networks learned things of 10 to 280 pixels. Where a view shows something larger, it proposes parts of
it, and is sure of them. So the coarser views are asked first, and a view is left out where the thing that
they are surest of would be too large in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.agreement import PlacedObject

LARGEST_SIDE = (
    400.0  # larger side of an object, pixels of the view: what chose best on 60 photos of photos/val
)


def shows_too_large(coarser: Sequence[PlacedObject], scale: float) -> bool:
    """Whether what coarser views are surest of is too large for a view; nothing is not.

    Args:
        coarser: All that they propose for a click.
        scale: Of the view, pixels per pixel of the photo.
    """
    surest = max(coarser, key=lambda item: item.vote, default=None)
    return surest is not None and surest.side * scale > LARGEST_SIDE
