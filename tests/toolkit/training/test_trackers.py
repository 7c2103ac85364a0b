"""Figures for trackers: the same as log.jsonl's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.tiny_training import TinyTask, tiny_schedule
from toolkit.errors import InputError
from toolkit.training import fit
from toolkit.training.trackers import tracker_options


def test_no_tracker_needs_no_options(tmp_path: Path) -> None:
    assert tracker_options(None, tmp_path) == {}


def test_an_unknown_tracker_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tracker 'abacus': expected one of .*tensorboard.*wandb"):
        fit(TinyTask(), tiny_schedule(), tmp_path, resume=False, tracker="abacus")


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    with pytest.raises(InputError, match=r"pip install 'declutter\[tracking\]'"):
        tracker_options("tensorboard", tmp_path)


def test_tensorboard_gets_what_the_log_gets(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the extra tracking is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(TinyTask(), tiny_schedule(steps=20), tmp_path, resume=False, tracker="tensorboard")
    events = EventAccumulator(str(tmp_path / "tracking"))
    events.Reload()
    logged = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    expected = {(line["step"], line["total"]) for line in logged if "total" in line}
    assert (
        {event.step for event in events.Scalars("total")} == {step for step, _ in expected} == {5, 10, 15, 20}
    )
    for event in events.Scalars("total"):
        assert any(event.step == step and event.value == pytest.approx(value) for step, value in expected)
    assert {event.step for event in events.Scalars("score")} == {10, 20}


def test_runs_without_a_tracker_write_none(tmp_path: Path) -> None:
    fit(TinyTask(), tiny_schedule(steps=6), tmp_path, resume=False)
    assert not (tmp_path / "tracking").exists()
