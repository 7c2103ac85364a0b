"""Systems that select one object at a time, behind the backend: no siblings, and further clicks correct."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotation.decoding import region_to_mask
from models.loading import load_system
from models.systems.table import TRAINED, definition
from tests.helpers.label_studio_requests import click_body, inline, point_body, task_body
from tests.helpers.selection_system import GREEN, RED, shapes_photo
from toolkit.masks import mask_iou

WIDTH, HEIGHT = 320, 240
PHOTO = shapes_photo([(60, 60, 18, RED), (160, 60, 18, RED), (240, 180, 20, GREEN)])


def disc(x: int, y: int, radius: int) -> np.ndarray:
    rows, columns = np.indices((HEIGHT, WIDTH))
    return np.hypot(columns + 0.5 - x, rows + 0.5 - y) <= radius


@pytest.mark.parametrize("label", ["All like this", "Only this"])
def test_grabcut_answers_smart_clicks(start, label: str) -> None:
    client = start(load_system("grabcut"), "grabcut")
    points = [point_body(60, 60, WIDTH, HEIGHT, label=label)]
    answer = client.post("/predict", json=click_body(task_body(inline(PHOTO)), points))
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()["results"]
    assert result["model_version"] == "grabcut"
    (region,) = result["result"]  # the other red disc is not looked for
    assert mask_iou(region_to_mask(region), disc(60, 60, 18)) > 0.9


@pytest.mark.parametrize("name", sorted(TRAINED))
def test_every_trained_system_answers_smart_clicks(start, name: str, tmp_path: Path) -> None:
    found = definition(name)
    found.network(found.config(mask_threshold=0.0)).save_pretrained(tmp_path)  # untrained: selects everything
    client = start(load_system(str(tmp_path)), name)
    points = [point_body(60, 60, WIDTH, HEIGHT), point_body(10, 10, WIDTH, HEIGHT, positive=False)]
    for made in (points[:1], points):
        answer = client.post("/predict", json=click_body(task_body(inline(PHOTO)), made))
        assert answer.status_code == 200, answer.text
        (result,) = answer.json()["results"]
        assert result["model_version"] == name
        (region,) = result["result"]
        assert region_to_mask(region).all()
