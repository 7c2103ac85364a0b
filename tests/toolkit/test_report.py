from __future__ import annotations

import json
import re

import numpy as np
import pytest

from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.report import Report, write_result


def test_a_report_lists_and_counts_what_was_left_out(tmp_path):
    report = Report(command="synth build", seed=3)
    report.add_skipped("a.jpg", "no such file")
    report.add_skipped(tmp_path / "b.jpg", "damaged")
    report.facts["images"] = 10
    assert report.skipped == (("a.jpg", "no such file"), (str(tmp_path / "b.jpg"), "damaged"))
    report.write(tmp_path / "out" / "report.json")
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == {
        "command": "synth build",
        "seed": 3,
        "images": 10,
        "skipped_count": 2,
        "skipped": [
            {"item": "a.jpg", "reason": "no such file"},
            {"item": str(tmp_path / "b.jpg"), "reason": "damaged"},
        ],
    }


def test_a_report_of_nothing_says_so_and_a_folder_gets_report_json(tmp_path):
    Report().write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text()) == {"skipped_count": 0, "skipped": []}


def test_a_result_with_its_table_and_figures(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1], [1, 0])
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[1, 2] = [9, 8, 7]
    result = {
        "n": np.int64(3),
        "miou": np.float32(0.5),
        "miou_small": float("nan"),
        "ap": None,
        "system": "x",
    }
    figures = {"curve": figure, "photo": pixels}
    write_result(tmp_path / "out", result, "| a |\n| - |\n\n\n", figures)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "curve.png",
        "photo.png",
        "result.json",
        "table.md",
    ]
    assert json.loads((tmp_path / "out" / "result.json").read_text()) == {
        "n": 3,
        "miou": 0.5,
        "miou_small": None,
        "ap": None,
        "system": "x",
    }
    assert (tmp_path / "out" / "table.md").read_text() == "| a |\n| - |\n"
    np.testing.assert_array_equal(open_image(tmp_path / "out" / "photo.png"), pixels)
    assert open_image(tmp_path / "out" / "curve.png").shape == (120, 240, 3)  # 120 dots per inch


def test_the_same_figure_gives_the_same_bytes_and_bytes_are_written_as_they_are(tmp_path):
    from matplotlib.figure import Figure

    for name in ("a", "b"):
        figure = Figure()
        figure.subplots().bar([1, 2], [3, 4])
        write_result(tmp_path / name, {}, "", {"plot": figure})
    first, second = ((tmp_path / name / "plot.png").read_bytes() for name in ("a", "b"))
    assert first == second
    assert not re.search(b"[Mm]atplotlib", first)
    write_result(tmp_path / "c", {}, "", {"plot": first})
    assert (tmp_path / "c" / "plot.png").read_bytes() == first


def test_a_place_that_cannot_be_written_to_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError):
        Report().write(tmp_path / "file" / "report.json")
    with pytest.raises(InputError):
        write_result(tmp_path / "file", {}, "")
