from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.masks import disk
from tests.helpers.splits import content, photo, write_small_split
from toolkit.cli import run
from toolkit.data.mois import build_mois
from toolkit.data.mois_clicks import ClickRules
from toolkit.data.validate import validate
from toolkit.errors import InputError
from toolkit.exemplars import FIELD, exemplar_from_json
from toolkit.masks import mask_to_rle
from toolkit.report import Report
from toolkit.split import Annotation, Split, SplitWriter, read_split

HEIGHT, WIDTH = 24, 32


def pixel(row: int, column: int, category: int, **fields: object) -> Annotation:
    """An object of one pixel: there is only one place to click it."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[row, column] = True
    return Annotation(category_id=category, segmentation=mask_to_rle(mask), **fields)  # type: ignore[arg-type]


def write_split(root: Path, photos: list[list[Annotation]]) -> Split:
    categories = [{"id": 3, "name": "cup"}, {"id": 7, "name": "cone"}, {"id": 9, "name": "can"}]
    rng = np.random.default_rng(0)
    with SplitWriter(root, categories=categories, card={"seed": 5, "note": "toy"}) as writer:
        for index, annotations in enumerate(photos):
            writer.add_image(photo(rng, HEIGHT, WIDTH), annotations, file_name=f"{index}.png")
    return read_split(root)


def test_every_step_on_a_toy_split(tmp_path: Path) -> None:
    """One click each: the number of clicks, their place and all left out are known."""
    crowd = pixel(20, 20, 3, iscrowd=1)
    empty = Annotation(category_id=3, segmentation=mask_to_rle(np.zeros((HEIGHT, WIDTH), bool)))
    split = write_split(
        tmp_path / "in",
        [
            [
                pixel(2, 3, 9),
                pixel(5, 6, 3),
                pixel(8, 9, 9),
                pixel(1, 1, 7),
                crowd,
                pixel(7, 7, 3, group_id=8),
            ],
            [pixel(4, 4, 3), pixel(5, 5, 7), empty],  # each alone
            [pixel(4, 4, 7), pixel(6, 6, 7), pixel(8, 8, 7)],
        ],
    )
    report = Report()
    counts = build_mois(split, tmp_path / "out", 0, report, rules=ClickRules(most=1))
    assert counts == {"images": 2, "groups": 3, "objects": 7, "clicks": 3, "pseudo_negative_clicks": 0}
    built = read_split(tmp_path / "out")
    assert [record.file_name for record in built] == ["0.png", "2.png"]
    assert [record.id for record in built] == [1, 3]
    first, second = (built.annotations_of(record.id) for record in built)
    # ids as before; the lone cone (4) and the crowd (5) are gone; groups by category id: cups 1, cans 2
    assert [(a.id, a.category_id, a.group_id) for a in first] == [(1, 9, 2), (2, 3, 1), (3, 9, 2), (6, 3, 1)]
    assert [(a.id, a.category_id, a.group_id) for a in second] == [(10, 7, 1), (11, 7, 1), (12, 7, 1)]
    for objects, group in ((first, 1), (first, 2), (second, 1)):
        exemplars = [a for a in objects if a.group_id == group and FIELD in a.extra]
        assert len(exemplars) == 1
        mask = exemplars[0].mask(HEIGHT, WIDTH)
        (row, column) = np.argwhere(mask)[0]
        (click,) = exemplar_from_json(exemplars[0].extra[FIELD], mask).clicks
        assert (click.x, click.y, click.positive) == (column + 0.5, row + 0.5, True)
    assert built.card["made_by"] == "declutter data mois"
    assert (built.card["seed"], built.card["note"]) == (0, "toy")
    assert dict(report.skipped) == {
        "1.png: annotation 9": "its mask is empty",
        "annotations alone in their category": "left out: 3",
        "crowds": "left out: 1",
        "images without two objects of a category": "left out: 1",
    }
    assert report.facts["groups"] == 3
    assert validate(built) == []


def test_exemplars_are_drawn_evenly(tmp_path: Path) -> None:
    split = write_split(tmp_path / "in", [[pixel(4, 4, 7), pixel(6, 6, 7), pixel(8, 8, 7)]] * 90)
    build_mois(split, tmp_path / "out", 1, Report(), rules=ClickRules(most=1))
    built = read_split(tmp_path / "out")
    places = [
        next(place for place, a in enumerate(built.annotations_of(r.id)) if FIELD in a.extra) for r in built
    ]
    assert min(np.bincount(places, minlength=3)) >= 18


def test_negative_clicks_on_siblings_are_marked(tmp_path: Path) -> None:
    """Two discs of one kind fill the photo's halves: what is clicked on the other one is pseudo negative."""
    discs = [disk(HEIGHT, WIDTH, x, 12, 6) for x in (8, 24)]
    annotations = [Annotation(category_id=3, segmentation=mask_to_rle(mask)) for mask in discs]
    split = write_split(tmp_path / "in", [annotations] * 40)
    rules = ClickRules(most=6, apart=2, margin=1, reach=4)
    counts = build_mois(split, tmp_path / "out", 3, Report(), rules=rules)
    assert 0 < counts["pseudo_negative_clicks"] < counts["clicks"]
    built = read_split(tmp_path / "out")
    for record in built:
        for index, annotation in enumerate(built.annotations_of(record.id)):
            if FIELD not in annotation.extra:
                continue
            own, other = discs[index], discs[1 - index]
            read = exemplar_from_json(annotation.extra[FIELD], own)
            for click in read.clicks:
                assert click.positive == own[click.row, click.column]
                assert not other[click.row, click.column]
            assert all(other[click.row, click.column] for click in read.pseudo_negatives)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from([3, 7, 9]), max_size=6), min_size=1, max_size=4), st.integers(0, 9))
def test_any_split_gives_a_sound_one(
    tmp_path_factory: pytest.TempPathFactory, layout: list[list[int]], seed: int
) -> None:
    root = tmp_path_factory.mktemp("mois")
    split = write_split(
        root / "in",
        [[pixel(3 * i + 1, 2 * i, category) for i, category in enumerate(own)] for own in layout],
    )
    expected = sum(own.count(category) >= 2 for own in layout for category in (3, 7, 9))
    if not expected:
        with pytest.raises(InputError, match="two objects of one category"):
            build_mois(split, root / "out", seed, Report())
        return
    counts = build_mois(split, root / "out", seed, Report())
    built = read_split(root / "out")
    assert validate(built) == []
    assert counts["groups"] == expected
    sources = {annotation.id: annotation for annotation in split.annotations}
    found = 0
    for record in built:
        annotations = built.annotations_of(record.id)
        groups = sorted({a.group_id for a in annotations})
        assert groups == list(range(1, len(groups) + 1))
        for group in groups:
            own = [a for a in annotations if a.group_id == group]
            assert len(own) >= 2
            assert len({a.category_id for a in own}) == 1
            assert sum(FIELD in a.extra for a in own) == 1
            found += 1
        for annotation in annotations:
            source = sources[annotation.id]
            assert (annotation.segmentation, annotation.category_id, annotation.image_id) == (
                source.segmentation,
                source.category_id,
                source.image_id,
            )
    assert found == expected
    again = root / "again"
    build_mois(split, again, seed, Report())
    assert content(read_split(again)) == content(built)


def test_the_command_writes_a_split_and_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_small_split(tmp_path / "in")
    out = tmp_path / "out"
    assert run(["data", "mois", str(source), "--out", str(out), "--seed", "4", "--margin", "1"]) == 0
    assert "6 groups of 12 objects in 3 images" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert (report["seed"], report["groups"], report["objects"]) == (4, 6, 12)
    assert {"item": "crowds", "reason": "left out: 3"} in report["skipped"]
    assert run(["data", "validate", str(out), "--out", str(tmp_path / "checked")]) == 0
    again = tmp_path / "again"
    assert run(["data", "mois", str(source), "--out", str(again), "--seed", "4", "--margin", "1"]) == 0
    assert (again / "annotations.json").read_bytes() == (out / "annotations.json").read_bytes()
    assert run(["data", "mois", str(source), "--out", str(out)]) == 2  # the folder is taken
