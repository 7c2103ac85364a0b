"""Target crops of training: where they lie, and that picture, mask and points move together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.systems.clicking.samples import ClickBatch
from models.systems.focalclick import network as networks
from models.systems.focalclick.task import FocalTask
from models.systems.focalclick.zooming import points_in, target_crops, zoomed
from tests.helpers.clicking import tiny_recipe
from tests.helpers.networks import BACKBONE
from tests.helpers.pictures import write_group_split

SIDE = 120


def square(x0: int, y0: int, x1: int, y1: int) -> torch.Tensor:
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., y0:y1, x0:x1] = 1
    return mask


def point(x: float, y: float, kind: float) -> list[float]:
    return [x, y, kind]


def test_a_target_crop_by_hand() -> None:
    selected = square(40, 20, 90, 80) > 0  # 50 x 60 around (65, 50), grown by 1.4: 70 x 84
    away = torch.tensor([[point(65.5, 50.5, 1), point(5.5, 5.5, 0), point(0, 0, -1)]])
    assert target_crops(selected, away).tolist() == [[30, 8, 100, 92]]
    missed = torch.tensor([[point(65.5, 50.5, 1), point(99.5, 50.5, 1)]])  # a missed part: 40 to 100, 84 wide
    assert target_crops(selected, missed).tolist() == [[28, 8, 112, 92]]


def test_small_masks_are_seen_from_as_far_as_in_use() -> None:
    selected = square(58, 58, 62, 62) > 0
    click = torch.tensor([[point(60.5, 60.5, 1)]])
    assert target_crops(selected, click).tolist() == [[40, 40, 80, 80]]  # 200 of 600 px are 40 of 120
    assert target_crops(torch.zeros_like(selected), click).tolist() == [[0, 0, SIDE, SIDE]]


def test_picture_mask_and_points_move_together() -> None:
    target = square(40, 20, 70, 50)
    image = (target * 200).to(torch.uint8).expand(-1, 3, -1, -1)
    points = torch.tensor([[point(55, 35, 1), point(10, 10, 0), point(-1, -1, -1)]])
    boxes = torch.tensor([[30.0, 10.0, 90.0, 70.0]])  # half of the side: everything is twice as large
    near = zoomed(ClickBatch(image, target, points, [], []), boxes)
    assert torch.equal(near.target, square(20, 20, 80, 80))
    assert near.image[0, 0, 50, 50] == 200
    assert near.image[0, 0, 10, 10] == 0
    assert near.points[0, :2].tolist() == [[50, 50, 1], [-40, 0, 0]]
    assert near.points[0, 2, 2] == -1
    assert torch.equal(points_in(points, torch.tensor([[0.0, 0.0, SIDE, SIDE]]), SIDE), points)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_zooming_is_a_switch(probability: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"backbone_settings": BACKBONE, "head_channels": 16, "refiner_channels": 16}
    recipe = tiny_recipe(
        write_group_split(tmp_path / "photos"),
        system="focalclick",
        model={**model, "input_size": 64, "focus_size": 64},
        training={"zoom_probability": probability},
    )
    task = FocalTask(recipe)
    batch = task.collate([task.sample(index) for index in range(2)])
    pictures, masks = [], []
    forward = networks.FocalNetwork.forward

    def watched(self, image, points, previous):
        pictures.append(image)
        masks.append(previous)
        return forward(self, image, points, previous)

    monkeypatch.setattr(networks.FocalNetwork, "forward", watched)
    whole = (batch.target > 0.5).float()
    half = torch.nn.functional.interpolate(whole, (64, 64), mode="area")
    monkeypatch.setattr(FocalTask, "roll_out", lambda self, model, small: (small.points, 0.9 * half))
    losses = task.losses(task.model, batch)
    losses["total"].backward()
    soft = ((masks[0] > 0) & (masks[0] < 1)).float().mean().item()
    small_whole = torch.nn.functional.interpolate(
        batch.image.float(), (64, 64), mode="bilinear", antialias=True
    )
    same = (pictures[0].float() - small_whole).abs().max().item() <= 0.5
    assert same == (probability == 0.0)  # else crops around the masks
    if probability == 0.0:
        assert torch.equal(masks[0], 0.9 * half)
    else:  # binary but for the rim that resampling leaves
        assert masks[0].max() == 1
        assert soft < 0.2
