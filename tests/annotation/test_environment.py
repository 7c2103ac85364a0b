"""Label Studio's own environment: what is said where it cannot be installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from annotation.commands import _has_display
from annotation.studio.environment import VERSION, NotInstallableError, ensure
from toolkit.cli import run
from toolkit.image import save_image


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose package installer finds nothing; gives a folder with one photo."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("DECLUTTER_STUDIO_VENV", str(tmp_path / "venv"))
    monkeypatch.setenv("DECLUTTER_STUDIO_DATA", str(tmp_path / "data"))
    import numpy as np

    save_image(tmp_path / "photos" / "one.png", np.zeros((8, 8, 3), np.uint8))
    return tmp_path / "photos"


@pytest.mark.slow
def test_offline_one_sentence_says_what_is_missing(offline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["studio", "up", "--check", str(offline)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"cannot install label-studio=={VERSION}" in error
    assert "check the network and the disk, then run again" in error
    # The demo goes without, and what else is wrong still is an error.
    assert run(["studio", "up", "--check", "--optional", str(offline)]) == 0
    assert "without Label Studio: " in " ".join(capsys.readouterr().out.split())
    assert run(["studio", "up", "--check", "--optional", str(offline / "absent")]) == 2


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(NotInstallableError, match="is not empty and no virtual environment"):
        ensure(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_no_browser_is_opened_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not _has_display()
    monkeypatch.setenv("DISPLAY", ":0")
    assert _has_display()
