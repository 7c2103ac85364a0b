"""What a click selects: instances in memory, a COCO file at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.masks import mask_to_rle, rle_area, rle_to_mask

CATEGORY = {"id": 1, "name": "distractor"}


@dataclass(frozen=True, eq=False)
class Instance:
    """One selected object.

    Attributes:
        mask: bool [H, W], of the whole photo.
        box: (x0, y0, x1, y1) in pixels, ends exclusive.
        score: confidence, 0 to 1.
        click: the click that selected it; None for a proposal without one.
        group: siblings of one photo share a number; None where grouping was not asked for.
    """

    mask: np.ndarray
    box: tuple[float, float, float, float]
    score: float
    click: Click | None = None
    group: int | None = None


def selection_to_coco(
    selection: Sequence[Instance], image_name: str, height: int, width: int
) -> dict[str, Any]:
    """Write a selection as COCO instances JSON of one photo.

    Besides what COCO asks for, annotations carry `score` and, where they are known, `group_id` and `click`
    (x, y, positive).

    Args:
        selection: instances of the photo.
        image_name: its file name.
        height: of the photo.
        width: of the photo.

    Returns:
        A dict that pycocotools loads and `selection_from_coco` reads back.

    Raises:
        InputError: a mask of another size than the photo.
    """
    annotations = []
    for number, instance in enumerate(selection, start=1):
        if instance.mask.shape != (height, width):
            raise InputError(
                f"mask {number} is {instance.mask.shape}, but {image_name} is {(height, width)}; "
                "masks cover the whole photo"
            )
        rle = mask_to_rle(instance.mask)
        x0, y0, x1, y1 = (float(side) for side in instance.box)
        annotation: dict[str, Any] = {
            "id": number,
            "image_id": 1,
            "category_id": CATEGORY["id"],
            "segmentation": rle,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": rle_area(rle),
            "iscrowd": 0,
            "score": float(instance.score),
        }
        if instance.group is not None:
            annotation["group_id"] = int(instance.group)
        if (click := instance.click) is not None:
            annotation["click"] = {"x": float(click.x), "y": float(click.y), "positive": click.positive}
        annotations.append(annotation)
    return {
        "info": {"description": "a selection made by Declutter"},
        "images": [{"id": 1, "file_name": image_name, "height": height, "width": width}],
        "categories": [dict(CATEGORY)],
        "annotations": annotations,
    }


def selection_from_coco(coco: Mapping[str, Any]) -> list[Instance]:
    """Read back what `selection_to_coco` wrote.

    Args:
        coco: COCO instances JSON of one photo with RLE masks; `score`, `click` and `group_id` may be missing.

    Raises:
        InputError: not one photo, or an annotation that cannot be read.
    """
    images = coco.get("images")
    if not isinstance(images, list) or len(images) != 1:
        raise InputError("a selection has exactly one entry in 'images'; read other COCO files as a split")
    selection = []
    for number, annotation in enumerate(coco.get("annotations", []), start=1):
        try:
            x, y, box_width, box_height = (float(side) for side in annotation["bbox"])
            click = annotation.get("click")
            instance = Instance(
                mask=rle_to_mask(annotation["segmentation"]),
                box=(x, y, x + box_width, y + box_height),
                score=float(annotation.get("score", 1.0)),
                click=Click(float(click["x"]), float(click["y"]), bool(click["positive"])) if click else None,
                group=annotation.get("group_id"),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"annotation {number} of the selection: missing or bad field ({error})"
            ) from error
        selection.append(instance)
    return selection
