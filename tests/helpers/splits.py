"""A small split made from nothing: photos of coloured shapes, in groups, with every form of mask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.helpers.masks import disk
from tests.helpers.masks import ring as hollow
from toolkit import masks
from toolkit.split import Annotation, Split, SplitWriter

HEIGHT, WIDTH = 60, 80
COLOURS = np.array([(200, 60, 50), (60, 160, 80), (70, 90, 210), (220, 190, 60)], np.uint8)


def photo(rng: np.random.Generator, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A grey, slightly noisy background, uint8 [H, W, 3]."""
    return rng.integers(110, 140, (height, width, 3)).astype(np.uint8)


def rectangle(x: int, y: int, width: int, height: int) -> list[float]:
    """The outline of a rectangle as a COCO polygon."""
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def write_small_split(root: Path, images: int = 3, seed: int = 0, scale: int = 1) -> Path:
    """Write a split of `images` photos, `scale` times 80 × 60 pixels, and return its folder.

    Every photo has five annotations: two discs as compressed RLE (group 1, red), a square as a polygon and an
    object of two rectangles as two polygons (group 2, green), and a crowd as uncompressed RLE. The second
    disc is a ring.
    """
    rng = np.random.default_rng(seed)
    categories = [{"id": 3, "name": "disc", "supercategory": "shape"}, {"id": 7, "name": "square"}]
    licenses = [{"id": 1, "name": "CC0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}]
    card = {"made_by": "tests", "seed": seed}
    with SplitWriter(
        root, categories=categories, licenses=licenses, info={"year": 2020}, card=card
    ) as writer:
        for index in range(images):
            image = photo(rng)
            shift = 2 * index
            first = disk(HEIGHT, WIDTH, 12 + shift, 14, 8)
            hole = hollow(HEIGHT, WIDTH, 40, 14, 9, 4)
            square, pair = [rectangle(8, 34, 10, 12)], [rectangle(30, 34, 6, 10), rectangle(42, 36, 6, 10)]
            crowd = np.zeros((HEIGHT, WIDTH), bool)
            crowd[50:, 60:] = True
            for mask, colour in ((first, 0), (hole, 0), (crowd, 3)):
                image[mask] = COLOURS[colour]
            image[34:46, 8:18] = image[34:44, 30:36] = image[36:46, 42:48] = COLOURS[1]
            image = image.repeat(scale, 0).repeat(scale, 1)
            first, hole, crowd = (m.repeat(scale, 0).repeat(scale, 1) for m in (first, hole, crowd))
            square, pair = ([[scale * v for v in outline] for outline in part] for part in (square, pair))
            pasted = {"kind": "pasted", "from": {"image": "elsewhere.jpg", "annotation": 5}}
            writer.add_image(
                image,
                [
                    Annotation(category_id=3, segmentation=masks.mask_to_rle(first), group_id=1),
                    Annotation(
                        category_id=3, segmentation=masks.mask_to_rle(hole), group_id=1, origin=pasted
                    ),
                    Annotation(category_id=7, segmentation=square, group_id=2, extra={"score": 0.5}),
                    Annotation(category_id=7, segmentation=pair, group_id=2),
                    Annotation(category_id=7, segmentation=uncompressed(crowd), iscrowd=1),
                ],
                file_name=f"photo{index}.png",
                license=1,
                source="numpy",
                date_captured="2020-01-01",
            )
    return root


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    """The run-length code of a mask with its counts as a list, as COCO stores crowds."""
    pixels = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], pixels, [False]])))
    bounds = np.concatenate([[0], edges, [pixels.size]])
    counts = np.diff(bounds).tolist()
    if counts[-1] == 0:
        counts.pop()
    return {"size": list(mask.shape), "counts": counts}


def content(split: Split) -> dict[str, Any]:
    """All that a split holds, as JSON objects, to compare two of them."""
    return json.loads(
        json.dumps(
            {
                "images": [vars(record) for record in split],
                "annotations": [vars(annotation) for annotation in split.annotations],
                "categories": split.categories,
                "info": split.info,
                "licenses": split.licenses,
            }
        )
    )


def disjoint_masks(height: int, width: int, most: int = 4) -> st.SearchStrategy[list[np.ndarray]]:
    """Sets of masks [height, width] that share no pixel; some are empty, have holes or many pieces."""
    cells = st.lists(st.integers(0, most), min_size=height * width, max_size=height * width)
    return cells.map(
        lambda values: [np.array(values).reshape(height, width) == index + 1 for index in range(most)]
    )
