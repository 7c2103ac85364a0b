from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.splits import HEIGHT, WIDTH, content, photo, rectangle, write_small_split
from toolkit.data.merge import merge
from toolkit.data.partition import assign, partition
from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import Annotation, SplitWriter, read_split


def test_merged_splits_keep_their_masks_under_new_ids(tmp_path: Path) -> None:
    first, second = (
        read_split(write_small_split(tmp_path / name, 2, seed)) for name, seed in (("a", 1), ("b", 2))
    )
    report = Report()
    merge([first, second], tmp_path / "out", report)
    merged = read_split(tmp_path / "out")
    assert [record.id for record in merged] == [1, 2, 3, 4]
    assert [a.id for a in merged.annotations] == list(range(1, 21))
    assert [record.file_name for record in merged] == [
        "photo0.png",
        "photo1.png",
        "photo0-2.png",
        "photo1-2.png",
    ]
    assert merged.category_names == {1: "disc", 2: "square"}
    assert merged.categories[0]["supercategory"] == "shape"
    assert len(merged.licenses) == 1
    assert len(report.skipped) == 2
    originals = [(split, record) for split in (first, second) for record in split]
    for record, (split, original) in zip(merged, originals, strict=True):
        np.testing.assert_array_equal(merged.open_image(record), split.open_image(original))
        pairs = zip(merged.annotations_of(record.id), split.annotations_of(original.id), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(one.mask(HEIGHT, WIDTH), other.mask(HEIGHT, WIDTH))
            assert merged.category_names[one.category_id] == split.category_names[other.category_id]
            assert (one.group_id, one.origin, one.extra) == (other.group_id, other.origin, other.extra)


def test_ids_inside_other_fields_follow(tmp_path: Path, rng: np.random.Generator) -> None:
    tables = [
        ([{"id": 5, "name": "cat", "instance_count": 2}], [{"id": 1, "name": "CC0"}], [5]),
        (
            [{"id": 1, "name": "dog", "instance_count": 1}, {"id": 5, "name": "cat", "instance_count": 3}],
            [{"id": 1, "name": "CC BY"}, {"id": 2, "name": "CC0"}],
            [1, 5, 99],
        ),
    ]
    splits = []
    for number, (categories, licenses, negative) in enumerate(tables):
        with SplitWriter(tmp_path / str(number), categories=categories, licenses=licenses) as writer:
            square = Annotation(category_id=5, segmentation=[rectangle(1, 1, 4, 4)])
            writer.add_image(photo(rng), [square], license=len(licenses), neg_category_ids=negative)
        splits.append(read_split(tmp_path / str(number)))
    merge(splits, tmp_path / "out", Report())
    merged = read_split(tmp_path / "out")
    assert merged.categories == [
        {"id": 1, "name": "cat", "instance_count": 5},
        {"id": 2, "name": "dog", "instance_count": 1},
    ]
    assert [a.category_id for a in merged.annotations] == [1, 1]
    assert [record.extra["neg_category_ids"] for record in merged] == [[1], [2, 1]]
    assert merged.licenses == [{"name": "CC0", "id": 1}, {"name": "CC BY", "id": 2}]
    assert [record.license for record in merged] == [1, 1]


def test_an_unknown_category_stops_the_merge(tmp_path: Path, rng: np.random.Generator) -> None:
    with SplitWriter(tmp_path / "a") as writer:
        writer.add_image(photo(rng), [Annotation(category_id=8, segmentation=[rectangle(1, 1, 4, 4)])])
    with pytest.raises(InputError, match="unknown category 8"):
        merge([read_split(tmp_path / "a")], tmp_path / "out", Report())
    assert not (tmp_path / "out" / "annotations.json").exists()


@given(
    st.lists(st.text(max_size=4), unique=True, max_size=40),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(0, 5),
    st.randoms(),
)
def test_parts_have_their_share_whatever_the_order(
    names: list[str], weights: list[int], seed: int, random: object
) -> None:
    fractions = {f"part{index}": weight / sum(weights) for index, weight in enumerate(weights)}
    chosen = dict(zip(names, assign(names, fractions, seed), strict=True))
    counts = Counter(chosen.values())
    assert sum(counts.values()) == len(names)
    for part, share in fractions.items():
        assert abs(counts[part] - share * len(names)) <= 1
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert dict(zip(shuffled, assign(shuffled, fractions, seed), strict=True)) == chosen


def test_another_seed_is_another_choice() -> None:
    names = [f"{index}.jpg" for index in range(100)]
    halves = {"a": 0.5, "b": 0.5}
    first, second = assign(names, halves, 0), assign(names, halves, 1)
    assert first == assign(names, halves, 0)
    assert 20 < sum(one != other for one, other in zip(first, second, strict=True)) < 80


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5}, {"a": 1.2, "b": -0.2}, {"a": float("nan")}])
def test_wrong_fractions_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(InputError, match="sum 1"):
        assign(["x"], fractions, 0)


def test_the_parts_together_are_the_whole(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "s", images=5))
    partition(split, tmp_path / "out", {"train": 0.6, "val": 0.4}, 3, Report())
    train, val = read_split(tmp_path / "out" / "train"), read_split(tmp_path / "out" / "val")
    assert (len(train), len(val)) == (3, 2)
    whole, parts = content(split), [content(train), content(val)]
    for name in ("images", "annotations"):
        together = sorted(
            (record for part in parts for record in part[name]), key=lambda record: record["id"]
        )
        assert together == whole[name]
    for part in parts:
        assert part["categories"] == whole["categories"]
        assert {a["image_id"] for a in part["annotations"]} == {i["id"] for i in part["images"]}
    assert train.card["seed"] == 3
    assert train.card["part"] == {"name": "train", "share": 0.6, "of": {"train": 0.6, "val": 0.4}}


def test_the_same_cut_can_be_run_again_and_another_cannot_overwrite_it(tmp_path: Path) -> None:
    split = read_split(write_small_split(tmp_path / "s", images=5))
    shares = {"train": 0.6, "val": 0.4}
    partition(split, tmp_path / "out", shares, 3, Report())
    before = (tmp_path / "out" / "train" / "annotations.json").read_bytes()
    (tmp_path / "out" / "val" / "annotations.json").unlink()  # as if killed before it was finished
    partition(split, tmp_path / "out", shares, 3, Report())
    assert (tmp_path / "out" / "train" / "annotations.json").read_bytes() == before
    assert len(read_split(tmp_path / "out" / "val")) == 2
    with pytest.raises(InputError, match="holds a finished split"):
        partition(split, tmp_path / "out", shares, 4, Report())
