"""Masks that are proposed without a click, as Label Studio regions in groups."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from annotation.existing import META
from annotation.label_config import LabelConfig, mask_labels
from annotation.regions import Canvas, Drawing, draw, offered_kinds, without_specks
from toolkit.errors import InputError
from toolkit.selection import Instance


def propose(scene: Any) -> list[Instance]:
    """Everything on a photo that is worth asking about, the surest first.

    Raises:
        InputError: the system cannot propose without a click.
    """
    find = getattr(scene, "propose", None)
    if find is None:
        raise InputError(
            "this selection system cannot propose objects without a click; click, or use another"
        )
    return sorted(find(), key=lambda one: -one.score)


def proposal_regions(
    instances: Sequence[Instance],
    config: LabelConfig,
    image: str,
    height: int,
    width: int,
    *,
    max_regions: int,
    min_pixels: int,
    version: str = "",
) -> list[dict[str, Any]]:
    """Regions for proposed instances: in each group the surest is the parent of the others.

    Args:
        instances: of one photo, the surest first.
        config: the project's configuration; the first mask label of the image tag is given.
        image: the image tag.
        height: of the photo.
        width: of the photo.
        max_regions: the rest is left out.
        min_pixels: smaller masks are left out.
        version: of the model, for the notes.

    Raises:
        InputError: the configuration has no mask label.
    """
    labels = mask_labels(config, image)
    if not labels:
        raise InputError(f'labelling configuration: no mask tag with labels on the image tag "{image}"')
    controls = offered_kinds(config, image, labels[0])
    groups: dict[int, str] = {}
    parents: dict[int, str] = {}
    masks: list[np.ndarray] = []
    drawings: list[Drawing] = []
    for one in instances:
        mask = without_specks(one.mask, min_pixels)
        if mask is None or len(masks) >= max_regions:
            continue
        notes: dict[str, Any] = {"role": "proposed", "model": version}
        text = []
        parent = None
        if one.group is not None:
            notes["group"] = groups.setdefault(one.group, secrets.token_hex(4))
            text = [f"group {notes['group']}"]
            parent = parents.get(one.group)
        drawing = Drawing(labels[0], one.score, parent=parent, meta={"text": text, META: notes})
        if one.group is not None:
            parents.setdefault(one.group, drawing.id)
        masks.append(mask)
        drawings.append(drawing)
    return draw(masks, drawings, controls, Canvas(width, height, image))
