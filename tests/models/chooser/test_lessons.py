"""The chooser's lessons: made, kept, read again."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chooser.features import FEATURES, features_of
from models.chooser.lattice import CELLS, LIMIT
from models.chooser.lessons import Lesson, lesson_of, read_lessons, write_lessons
from models.overlaps import overlaps
from tests.models.chooser.test_features import square
from toolkit.errors import InputError


def random_lesson(rng: np.random.Generator, count: int) -> Lesson:
    cells = CELLS * CELLS
    return Lesson(
        rng.random((count, len(FEATURES))).astype(np.float32),
        rng.random((count, count)).astype(np.float16),
        rng.integers(-127, 128, (count, cells)).astype(np.int8),
        rng.random(count).astype(np.float32),
        rng.integers(0, 256, cells).astype(np.uint8),
        float(np.float32(rng.random())),
    )


def test_a_lesson() -> None:
    items = [square(10, 5, 0.8, 1.0), square(30, 0, 0.3, 1.0)]  # 20 to 60 px, and 0 to 120 px
    mask = np.zeros((140, 140), bool)
    mask[20:60, 20:60] = True
    lesson = lesson_of(items, mask)
    iou = overlaps(items, items)
    np.testing.assert_allclose(lesson.features, features_of(items, iou))
    np.testing.assert_allclose(lesson.overlaps, iou, atol=1e-3)
    step = 72 / CELLS  # around the smaller one, which is the likelier one
    assert lesson.area == pytest.approx(40**2 / step**2)
    assert lesson.coverage.sum() == pytest.approx(lesson.area, rel=0.02)
    inside = lesson.logits > 0
    assert inside[0].sum() == pytest.approx(lesson.area, rel=0.1)
    assert inside[1].all()
    np.testing.assert_allclose(lesson.logits[0].max(), LIMIT)
    np.testing.assert_allclose(lesson.beyond, [0, 120**2 / step**2 - CELLS**2], rtol=0.05, atol=8)


@given(st.lists(st.integers(1, 6), max_size=4), st.integers(0, 99))
def test_written_and_read(tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int) -> None:
    folder = tmp_path_factory.mktemp("lessons")
    rng = np.random.default_rng(seed)
    lessons = [random_lesson(rng, count) for count in (*counts, 2)]
    write_lessons(folder / "1.npz", lessons[:-1])
    write_lessons(folder / "2.npz", lessons[-1:])
    again = read_lessons(folder)
    assert len(again) == len(lessons)
    for one, other in zip(lessons, again, strict=True):
        for field in fields(Lesson):
            kept, read = getattr(one, field.name), getattr(other, field.name)
            assert np.array_equal(kept, read)
            assert getattr(kept, "dtype", None) == getattr(read, "dtype", None)


def test_some_proposals_only() -> None:
    lesson = random_lesson(np.random.default_rng(0), 3)
    fewer = lesson.only(np.array([True, False, True]))
    assert np.array_equal(fewer.features, lesson.features[[0, 2]])
    assert np.array_equal(fewer.masks, lesson.masks[[0, 2]])
    assert np.array_equal(fewer.beyond, lesson.beyond[[0, 2]])
    assert fewer.overlaps.tolist() == [
        [lesson.overlaps[0, 0], lesson.overlaps[0, 2]],
        [lesson.overlaps[2, 0], lesson.overlaps[2, 2]],
    ]
    assert fewer.truth is lesson.truth


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="declutter models choices"):
        read_lessons(tmp_path)
    write_lessons(tmp_path / "1.npz", [])
    with pytest.raises(InputError, match="declutter models choices"):
        read_lessons(tmp_path)


def test_lessons_of_another_version(tmp_path: Path) -> None:
    np.savez(tmp_path / "1.npz", features=np.zeros((1, 3)), ious=np.zeros(1), counts=np.array([1]))
    with pytest.raises(InputError, match="3 features of a proposal and no masks; expected 32"):
        read_lessons(tmp_path)
