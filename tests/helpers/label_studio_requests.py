"""Request bodies as Label Studio 1.23.2 sends them, with what a test wants to vary."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from annotation.label_config import default_label_config

PROJECT = "1.1795197051"


def inline(image: np.ndarray, fmt: str = "PNG", **options: Any) -> str:
    """A photo as a data: URL."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, fmt, **options)
    return f"data:image/{fmt.lower()};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def setup_body(config: str | None = None) -> dict[str, Any]:
    return {
        "project": PROJECT,
        "schema": config or default_label_config(),
        "hostname": "http://localhost:8080",
        "access_token": "0123456789abcdef0123456789abcdef01234567",
        "extra_params": None,
    }


def task_body(
    address: object, task: int = 1, drafts: list | None = None, annotations: list | None = None
) -> dict:
    """A task of an interactive request (batches have no drafts, but the same fields otherwise)."""
    return {
        "id": task,
        "annotations": [
            {"id": 7 + index, "result": result, "was_cancelled": False, "ground_truth": False}
            for index, result in enumerate(annotations or [])
        ],
        "drafts": [
            {"id": 3 + index, "user": "a@b.co", "result": result, "lead_time": 5.2, "was_postponed": False}
            for index, result in enumerate(drafts or [])
        ],
        "predictions": [],
        "data": {"image": address},
        "meta": {},
        "created_at": "2026-11-21T03:09:17.170919Z",
        "updated_at": "2026-11-21T03:09:17.170926Z",
        "allow_skip": True,
        "inner_id": task,
        "total_annotations": len(annotations or []),
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_count": 0,
        "project": 1,
        "updated_by": None,
        "comment_authors": [],
    }


def point_body(
    x: float,
    y: float,
    width: int,
    height: int,
    *,
    label: str = "All like this",
    positive: bool = True,
    rotation: int = 0,
    from_name: str = "click",
    to_name: str = "image",
    name: str = "FBJdzmcUFA",
) -> dict[str, Any]:
    """A smart keypoint at pixel x, y of a photo of width × height."""
    return {
        "original_width": width,
        "original_height": height,
        "image_rotation": rotation,
        "value": {
            "x": x / width * 100,
            "y": y / height * 100,
            "width": 0.26007802340702213,
            "labels": [label],
            "keypointlabels": [label],
        },
        "is_positive": positive,
        "id": name,
        "from_name": from_name,
        "to_name": to_name,
        "type": "keypointlabels",
        "origin": "manual",
    }


def click_body(
    task: dict[str, Any], points: list[dict[str, Any]], config: str | None = None
) -> dict[str, Any]:
    return {
        "tasks": [task],
        "project": PROJECT,
        "label_config": config or default_label_config(),
        "params": {"login": None, "password": None, "context": {"result": points}},
    }


def batch_body(tasks: list[dict[str, Any]], config: str | None = None) -> dict[str, Any]:
    return {
        "tasks": tasks,
        "project": PROJECT,
        "label_config": config or default_label_config(),
        "params": {"login": None, "password": None, "context": None},
    }
