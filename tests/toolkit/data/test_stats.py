from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.helpers.splits import photo, rectangle, write_small_split
from toolkit.data.stats import figures, measure, summary, table
from toolkit.report import write_result
from toolkit.split import Annotation, Split, SplitWriter, read_split


def test_numbers_worked_out_by_hand(tmp_path: Path, rng: np.random.Generator) -> None:
    """Photo 1: groups {1: 2, 2: 1} and one without group; photo 2: nothing; photo 3: one group of 3."""
    with SplitWriter(tmp_path / "s", categories=[{"id": 1, "name": "a"}, {"id": 2, "name": "b|c"}]) as writer:

        def square(side: int, group: int | None, category_id: int = 1) -> Annotation:
            return Annotation(
                category_id=category_id, segmentation=[rectangle(0, 0, side, side)], group_id=group
            )

        writer.add_image(
            photo(rng, 120, 150), [square(31, 1), square(32, 1), square(96, 2), square(97, None, 2)]
        )
        writer.add_image(photo(rng, 20, 10), source="b")
        writer.add_image(photo(rng, 20, 20), [square(3, 1), square(3, 1), square(3, 1)], license="CC0")
    stats = measure(read_split(tmp_path / "s"))
    assert stats.instances.tolist() == [4, 0, 3]
    assert stats.groups.tolist() == [2, 0, 1]
    assert sorted(stats.group_sizes.tolist()) == [1, 2, 3]
    assert stats.categories == {"a": 6, "b|c": 1}
    assert stats.sources == {"unknown": 2, "b": 1}
    assert stats.licences == {"unknown": 2, "CC0": 1}
    result = summary(stats)
    # COCO's ranges: 31² is small, 32² and 96² medium, 97² large.
    assert (result["small"], result["medium"], result["large"]) == (4, 2, 1)
    assert (result["images"], result["annotations"], result["groups"]) == (3, 7, 3)
    assert (result["groups_of_two_or_more"], result["images_without_annotations"]) == (2, 1)
    assert (result["width_min"], result["width_median"], result["width_max"]) == (10, 20, 150)
    assert result["instances_per_image_mean"] == 2.333
    assert "| b/c | 1 |" in table(stats)


def test_tables_and_plots_are_written(tmp_path: Path) -> None:
    stats = measure(read_split(write_small_split(tmp_path / "s")))
    write_result(tmp_path / "out", summary(stats), table(stats), figures(stats))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"result.json", "table.md", "sizes.png", "per-image.png", "categories.png"}
    assert stats.crowds == 3
    assert (tmp_path / "out" / "sizes.png").stat().st_size > 5000


def test_a_split_with_nothing_in_it_is_described_too(tmp_path: Path) -> None:
    stats = measure(Split(tmp_path, [], []))
    result = summary(stats)
    assert result["images"] == 0
    assert result["area_mean"] is None
    write_result(tmp_path / "out", result, table(stats), figures(stats))


def test_names_with_dollar_signs_can_be_drawn(tmp_path: Path) -> None:
    split = Split(tmp_path, [], [Annotation(1, 1, 1)], categories=[{"id": 1, "name": "$x^{$"}])
    stats = measure(split)
    write_result(tmp_path / "out", summary(stats), table(stats), figures(stats))
