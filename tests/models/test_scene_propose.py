"""What a scene proposes without a click, with networks made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.one_click.finder import EncodedImage
from models.one_click.found_object import FoundObject
from models.scene import PhotoScene
from models.selector import Selector
from models.view import PhotoView, SelectionModels
from tests.helpers.networks import save_selector


class GridFinder:
    """Finds squares: the one that holds the click, else nothing."""

    def __init__(self, squares: Sequence[tuple[int, int, int, float]]) -> None:
        self.squares = squares  # (column, row, side, score), cells of stride 4

    def find(
        self,
        encoded: EncodedImage,
        groups: Sequence[Sequence[tuple[float, float]]],
        avoid: Sequence[tuple[float, float]] = (),
    ) -> list[FoundObject | None]:
        answers: list[FoundObject | None] = []
        for ((x, y),) in groups:
            answer = None
            for column, row, side, score in self.squares:
                if column <= x / 4 < column + side and row <= y / 4 < row + side:
                    answer = FoundObject(np.ones((side, side), np.float32), row, column, score, ((x, y),))
            answers.append(answer)
        return answers

    def candidates(
        self, encoded: EncodedImage, groups: Sequence[Sequence[tuple[float, float]]]
    ) -> list[list[FoundObject]]:
        return [[] if answer is None else [answer] for answer in self.find(encoded, groups)]

    def candidates_in(
        self, asked: Sequence[tuple[EncodedImage, Sequence[Sequence[tuple[float, float]]]]]
    ) -> list[list[list[FoundObject]]]:
        return [self.candidates(*one) for one in asked]


class SideVerification:
    """Objects are alike when their sides differ by less than 10 pixels."""

    def gather(self, image: Tensor, feature: Tensor, masks: Tensor, boxes: Tensor, _: object) -> Tensor:
        return boxes[:, 2:3] - boxes[:, :1]

    def __call__(self, sides: Tensor) -> Tensor:
        return sides

    def similarity_logits(self, distance: Tensor) -> Tensor:
        return 10 - distance


def test_propose_groups_what_a_grid_of_clicks_finds() -> None:
    # on a photo of 200 × 160: three squares of 32 px, two of 8 or 12 px, one that scores too low
    squares = [
        (0, 0, 8, 0.5), (20, 0, 8, 0.9), (0, 20, 8, 0.7), (40, 0, 2, 0.8), (40, 20, 3, 0.95),
        (20, 20, 8, 0.44),
    ]  # fmt: skip
    parts = SelectionModels(GridFinder(squares), None, SideVerification())  # type: ignore[arg-type]
    encoded = EncodedImage([torch.zeros(1, 40, 50)], torch.zeros(8, 40, 50), [], 160, 200)
    view = PhotoView(parts, torch.zeros(3, 160, 200, dtype=torch.uint8), encoded, 1.0)
    scene = PhotoScene(parts, [view], (160, 200))
    proposals = scene.propose(spacing=4)  # many clicks on each square, one proposal
    found = [(p.group, p.box, p.score) for p in proposals]
    assert found == [
        (0, (80, 0, 112, 32), 0.9),
        (0, (0, 80, 32, 112), 0.7),
        (0, (0, 0, 32, 32), 0.5),
        (1, (160, 80, 172, 92), 0.95),
        (1, (160, 0, 168, 8), 0.8),
    ]
    for p in proposals:
        assert p.click is not None
        assert p.mask[p.click.row, p.click.column]
        assert p.mask.shape == (160, 200)
    assert len(scene.propose(spacing=4, limit=2)) == 2
    assert [p.score for p in scene.propose(spacing=4, least_score=0.85)] == [0.95, 0.9]
    # without PVM every object is a group of its own
    alone = SelectionModels(GridFinder(squares), None, None)  # type: ignore[arg-type]
    groups = [
        p.group
        for p in PhotoScene(alone, [PhotoView(alone, view._image, encoded, 1.0)], (160, 200)).propose(4)
    ]
    assert groups == [0, 1, 2, 3, 4]


def test_propose_compares_large_photos_at_a_smaller_size(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = SelectionModels(GridFinder([(0, 0, 8, 0.5), (20, 20, 4, 0.9)]), None, None)  # type: ignore[arg-type]
    encoded = EncodedImage([torch.zeros(1, 40, 50)], torch.zeros(8, 40, 50), [], 160, 200)
    view = PhotoView(parts, torch.zeros(3, 160, 200, dtype=torch.uint8), encoded, 0.1)
    sizes = []
    piece = FoundObject.piece
    monkeypatch.setattr(FoundObject, "piece", lambda self, *size: sizes.append(size) or piece(self, *size))
    found = PhotoScene(parts, [view], (1600, 2000)).propose(spacing=8)
    assert sorted(p.box for p in found) == [(0, 0, 320, 320), (800, 800, 960, 960)]
    assert sizes.count((1600, 2000, 0.1)) == 2  # only what is returned is drawn in full
    assert {size[:2] for size in sizes} == {(1600, 2000), (819, 1024)}


class WaveringFinder(GridFinder):
    """One square, as which the middle of the other one is sometimes taken."""

    def candidates(
        self, encoded: EncodedImage, groups: Sequence[Sequence[tuple[float, float]]]
    ) -> list[list[FoundObject]]:
        answers = super().candidates(encoded, groups)
        for items in answers:
            if items and items[0].left == 20:  # as surely the left half of it
                half = np.full((8, 8), -1, np.float32)
                half[:, :4] = 1.0
                items.append(replace(items[0], logits=half))
        return answers


def test_what_the_views_disagree_on_falls_in_score() -> None:
    parts = SelectionModels(WaveringFinder([(0, 0, 8, 0.8), (20, 0, 8, 0.9)]), None, None)  # type: ignore[arg-type]
    encoded = EncodedImage([torch.zeros(1, 40, 50)], torch.zeros(8, 40, 50), [], 160, 200)
    scene = PhotoScene(
        parts, [PhotoView(parts, torch.zeros(3, 160, 200, dtype=torch.uint8), encoded, 1.0)], (160, 200)
    )
    found = {p.box[0]: p.score for p in scene.propose(spacing=4)}
    # two even votes, IoU of whole and half 1/2: expected IoU (1 + 1/2) / 2 = 3/4
    assert found == {0: pytest.approx(0.8), 80: pytest.approx(0.9 * 0.75**2, rel=0.02)}
    assert [p.box[0] for p in scene.propose(spacing=4, least_score=0.55)] == [0]


def test_propose_with_random_networks(tmp_path: Path) -> None:
    selector = Selector.load(save_selector(tmp_path), device="cpu", working_sizes=(192,))
    scene = selector.encode(np.random.default_rng(1).integers(0, 256, (120, 192, 3)).astype(np.uint8))
    proposals = scene.propose(spacing=40, least_score=0.0)
    assert len(proposals) > 1
    groups = [p.group for p in proposals]
    assert groups == sorted(groups)
    assert set(groups) == set(range(max(groups) + 1))
    sizes = [groups.count(g) for g in range(max(groups) + 1)]
    assert sizes == sorted(sizes, reverse=True)
    for index, a in enumerate(proposals):
        for b in proposals[:index]:
            assert (a.mask & b.mask).sum() <= 0.6 * min(a.mask.sum(), b.mask.sum())
    assert scene.propose(spacing=40, least_score=1.1) == []
