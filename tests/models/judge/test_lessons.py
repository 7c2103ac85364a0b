"""The judge's lessons: what is right, collected, kept, read again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.collecting import Collection, collect
from models.judge.features import FEATURES, features_of
from models.judge.lessons import (
    JudgeLesson,
    SelectionCollector,
    lessons_of,
    read_lessons,
    rightness,
    write_lessons,
)
from models.selector import Selector
from tests.helpers.networks import save_selector
from tests.helpers.systems import box_mask, object_of, write_objects
from toolkit.clicks import center_click
from toolkit.errors import InputError
from toolkit.masks import mask_iou
from toolkit.split import read_split

SHAPE = (96, 96)


SIZES = (64, 128)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_selector(tmp_path_factory.mktemp("selector")))


@pytest.fixture(scope="module")
def selector(weights: str) -> Selector:
    return Selector.load(weights, device="cpu", working_sizes=SIZES)


@pytest.mark.parametrize(
    ("ious", "right"),
    [
        # one sibling cannot be found twice, and the better one counts
        ([[0.9, 0.0], [0.0, 0.6], [0.0, 0.8]], [0.9, 0, 0.8]),
        # the clicked object is no sibling of itself, and a sibling is not what was clicked
        ([[0.4, 0.9], [0.7, 0.0]], [0, 0]),
        # the pair that meets best goes first: the second candidate then has the other sibling
        ([[1.0, 0.0, 0.0], [0.0, 0.7, 0.6], [0.0, 0.9, 0.0]], [1, 0.6, 0.9]),
        ([[0.49]], [0]),
        ([[0.5]], [0.5]),
    ],
)
def test_rightness_by_hand(ious: list[list[float]], right: list[float]) -> None:
    np.testing.assert_allclose(rightness(np.array(ious)), right, rtol=1e-6)


def test_collected_lessons(selector: Selector, weights: str, tmp_path: Path) -> None:
    pair = [object_of(box_mask(8, 8, 32, 32, SHAPE), group_id=3), object_of(box_mask(50, 50, 40, 40, SHAPE))]
    pair[1] = object_of(box_mask(50, 50, 40, 40, SHAPE), group_id=3)
    lonely = [object_of(box_mask(20, 20, 40, 40, SHAPE), group_id=1)]
    ungrouped = [object_of(box_mask(20, 20, 40, 40, SHAPE))]
    write_objects(tmp_path / "split", [pair, lonely, ungrouped])
    split = read_split(tmp_path / "split")
    job = Collection(SelectionCollector(), split.root, tmp_path / "out", weights, "cpu", SIZES)
    assert collect(job) == 2  # photos without groups teach nothing
    lessons = read_lessons(tmp_path / "out")
    assert len(lessons) == 2
    scene = selector.encode(split.open_image(split.images[1]))
    mask = box_mask(20, 20, 40, 40, SHAPE)
    selection = scene.selection(center_click(mask), config=selector.models.config.before_judge())
    assert selection is not None
    (lesson,) = lessons_of(split, split.images[1], selector)
    np.testing.assert_allclose(lesson.features, features_of(selection), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(lesson.alike, selection.alike, rtol=1e-4, atol=1e-5)
    first = selection.candidates[0].shown
    iou = mask_iou(first.found.mask(*SHAPE, first.scale), mask)
    assert lesson.right[0] == pytest.approx(iou if iou >= 0.5 else 0)
    assert not lesson.right[1:].any()  # there is no sibling


def test_some_members_of_each_group_are_clicked(selector: Selector, tmp_path: Path) -> None:
    boxes = [(4, 4, 24, 24), (36, 4, 24, 24), (68, 4, 24, 24)]
    three = [object_of(box_mask(*box, SHAPE), group_id=3) for box in boxes]
    lonely = [object_of(box_mask(20, 50, 40, 40, SHAPE), group_id=1)]
    write_objects(tmp_path / "split", [three + lonely])
    split = read_split(tmp_path / "split")
    found = {clicks: lessons_of(split, split.images[0], selector, clicks) for clicks in (1, 2, 3, 9)}
    assert {clicks: len(lessons) for clicks, lessons in found.items()} == {1: 2, 2: 3, 3: 4, 9: 4}
    firsts = {lesson.features[0].tobytes() for lesson in found[9]}
    assert len(firsts) == 4  # each time another one


@given(st.lists(st.integers(1, 6), max_size=4), st.integers(0, 99))
def test_written_and_read(tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int) -> None:
    folder = tmp_path_factory.mktemp("lessons")
    rng = np.random.default_rng(seed)
    lessons = [
        JudgeLesson(*(rng.random(s).astype(np.float32) for s in ((n, len(FEATURES)), (n, n), (n,))))
        for n in (*counts, 2)
    ]
    write_lessons(folder / "1.npz", lessons[:-1])
    write_lessons(folder / "2.npz", lessons[-1:])
    again = read_lessons(folder)
    assert len(again) == len(lessons)
    for one, other in zip(lessons, again, strict=True):
        assert np.array_equal(one.features, other.features)
        assert np.array_equal(one.alike, other.alike)
        assert np.array_equal(one.right, other.right)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="declutter models selections"):
        read_lessons(tmp_path)
    np.savez(tmp_path / "1.npz", features=np.zeros((1, 3)), counts=np.array([1]))
    with pytest.raises(InputError, match=f"{len(FEATURES)} features of a candidate"):
        read_lessons(tmp_path)
