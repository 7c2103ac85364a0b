"""Average precision and recall as the `lvis` package computes them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.split import Split

MAX_DETECTIONS = 300  # per photo (https://www.lvisdataset.org/challenge_2021)


def is_lvis(split: Split) -> bool:
    """Whether a split is one of LVIS: its photos say which categories they were not searched for."""
    return len(split) > 0 and all("neg_category_ids" in record.extra for record in split.images)


def evaluate_lvis(
    images: Sequence[Mapping[str, Any]],
    truths: Sequence[Mapping[str, Any]],
    found: Sequence[Mapping[str, Any]],
    max_detections: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run LVISEval over masks of the one category 1, which every image was searched for.

    Args:
        images: rows with id, height, width.
        truths: rows of COCO annotations; crowds, which LVIS does not have, are left out.
        found: rows with image_id, category_id, segmentation (RLE) and score; at least one.
        max_detections: of an image that count.

    Returns:
        (precision [T, 101, 1, 4], recall [T, 1, 4], IoU thresholds [T]); sizes are all, small, medium, large;
        -1 where there is no truth.
    """
    from lvis import LVIS, LVISEval, LVISResults  # imports matplotlib: only where it is needed

    kept = [dict(truth) for truth in truths if not truth["iscrowd"]]
    filled = {truth["image_id"] for truth in kept}
    # an image without an object of the category counts only where it says that there is none
    rows = [
        {
            **image,
            "neg_category_ids": [] if image["id"] in filled else [1],
            "not_exhaustive_category_ids": [],
        }
        for image in images
    ]
    category = {"id": 1, "name": "object", "frequency": "f", "image_count": len(filled)}
    with tempfile.TemporaryDirectory() as folder:
        # with a bbox it would take that box's area for the mask's
        plain = [{k: row[k] for k in ("image_id", "category_id", "segmentation", "score")} for row in found]
        path, answers = Path(folder) / "truth.json", Path(folder) / "found.json"  # lvis reads files
        answers.write_text(json.dumps(plain))
        path.write_text(json.dumps({"images": rows, "annotations": kept, "categories": [category]}))
        truth_table = LVIS(str(path))
        found_table = LVISResults(truth_table, str(answers), max_detections)
        evaluation = LVISEval(truth_table, found_table, "segm")
        evaluation.params.max_dets = max_detections
        with numpy_float():
            evaluation.run()
    return evaluation.eval["precision"], evaluation.eval["recall"], evaluation.params.iou_thrs


@contextmanager
def numpy_float() -> Iterator[None]:
    """Give numpy back the name `np.float`, gone since 1.24: lvis 0.5.3 uses it in `LVISEval.run`."""
    if hasattr(np, "float"):
        yield
        return
    np.float = float  # type: ignore[attr-defined]  # noqa: NPY001
    try:
        yield
    finally:
        del np.float  # type: ignore[attr-defined]  # noqa: NPY001
