"""What a run without a terminal says of itself."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from toolkit.training.progress import Progress


def test_losses_have_a_line_now_and_then_and_validation_always(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("toolkit.training.progress.time.monotonic", lambda: now[0])
    log = tmp_path / "log.jsonl"
    with (
        caplog.at_level(logging.INFO, logger="toolkit.training"),
        Progress(log, 0, 100, shown=True) as progress,
    ):
        for seconds, step, figures, rare in (
            (101.0, 5, {"loss": 5.0}, False),
            (110.0, 10, {"loss": 10.0}, False),
            (111.0, 10, {"score": 0.25}, True),
            (120.0, 15, {"loss": 15.0}, False),
            (126.5, 20, {"loss": 20.0}, False),
        ):
            now[0] = seconds
            progress.record(step, figures, rare)
    said = [record.getMessage().split(" |")[0] for record in caplog.records]
    assert said == ["step 10/100 score 0.25", "step 20/100 loss 20"]
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [5, 10, 10, 15, 20]
