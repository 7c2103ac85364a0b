"""Exemplars: objects already segmented in a photo, which help with the next ones of their kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.clicks import Click
from toolkit.errors import InputError

FIELD = "exemplar"
"""The field of an annotation that makes it the exemplar of its group: `{"clicks": [{"x", "y", …}, …]}`."""


@dataclass(frozen=True, eq=False)
class Exemplar:
    """An object segmented before, with the clicks that led to it (iCMFormer++, section 3.1).

    Attributes:
        mask: bool [H, W], of the whole photo.
        clicks: positive ones on the object, and its true negative ones.
        pseudo_negatives: negative clicks on other objects of the same kind, which speak against this object
            but not against its kind (section 3.5).
    """

    mask: np.ndarray
    clicks: tuple[Click, ...] = ()
    pseudo_negatives: tuple[Click, ...] = ()


def part_negatives(
    clicks: Sequence[Click], siblings: Sequence[np.ndarray]
) -> tuple[tuple[Click, ...], tuple[Click, ...]]:
    """Tell pseudo negative clicks from all others (iCMFormer++, section 3.5).

    Args:
        clicks: of one object.
        siblings: masks, bool [H, W], of the other objects of its kind.

    Returns:
        (positive and true negative clicks, pseudo negative clicks), each in the order given.
    """
    kept: list[Click] = []
    pseudo: list[Click] = []
    for click in clicks:
        on_sibling = any(click.inside(*mask.shape) and mask[click.row, click.column] for mask in siblings)
        (pseudo if on_sibling and not click.positive else kept).append(click)
    return tuple(kept), tuple(pseudo)


def exemplar_to_json(clicks: Sequence[Click], pseudo_negatives: Sequence[Click] = ()) -> dict[str, Any]:
    """Write an exemplar's clicks as the `exemplar` field of its annotation."""
    listed = [{"x": click.x, "y": click.y, "positive": click.positive} for click in clicks]
    pseudo = [{"x": click.x, "y": click.y, "positive": False, "pseudo": True} for click in pseudo_negatives]
    return {"clicks": [*listed, *pseudo]}


def exemplar_from_json(field: Any, mask: np.ndarray) -> Exemplar:
    """Read an exemplar back.

    Args:
        field: the `exemplar` field of an annotation.
        mask: bool [H, W], the annotation's.

    Raises:
        InputError: the field is malformed.
    """
    kept: list[Click] = []
    pseudo: list[Click] = []
    try:
        if not isinstance(field, Mapping):
            raise TypeError(f"a {type(field).__name__}")
        for click in field["clicks"]:
            read = Click(float(click["x"]), float(click["y"]), bool(click["positive"]))
            (pseudo if click.get("pseudo") else kept).append(read)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"annotation field {FIELD}: expected an object with clicks of x, y and positive, as "
            f"`declutter data mois` writes it ({error})"
        ) from error
    return Exemplar(mask, tuple(kept), tuple(pseudo))
