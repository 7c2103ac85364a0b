"""A photo of five discs, and what the backend is asked about it."""

from __future__ import annotations

import time

import numpy as np

from annotation.decoding import region_to_mask
from tests.helpers.label_studio_requests import click_body, inline, point_body, task_body
from tests.helpers.selection_system import BLUE, GREEN, RED, shapes_photo
from toolkit.masks import mask_iou

WIDTH, HEIGHT = 320, 240
DISCS = [
    (40, 40, 15, RED),
    (120, 40, 15, RED),
    (200, 40, 15, RED),
    (40, 140, 20, GREEN),
    (280, 200, 12, BLUE),
]
PHOTO = shapes_photo(DISCS)
ADDRESS = inline(PHOTO)


def disc(number: int) -> np.ndarray:
    x, y, radius, _ = DISCS[number]
    rows, columns = np.indices((HEIGHT, WIDTH))
    return np.hypot(columns + 0.5 - x, rows + 0.5 - y) <= radius


def at(number: int, **fields) -> dict:
    x, y, *_ = DISCS[number]
    return point_body(x, y, WIDTH, HEIGHT, **fields)


def ask(client, points: list, config: str | None = None, address: str = ADDRESS, **task) -> dict:
    answer = client.post("/predict", json=click_body(task_body(address, **task), points, config))
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert len(results) == 1
    return results[0]


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def matching(result: list[dict], number: int) -> list[dict]:
    return [one for one in result if mask_iou(region_to_mask(one), disc(number)) > 0.9]
