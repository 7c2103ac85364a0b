"""What is sent to the hub, and that nothing is sent without a token; the hub itself is not asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.loading import BUNDLED
from models.pushing import files_to_push, push
from tests.helpers.networks import save_selector
from toolkit.cli import run
from toolkit.errors import InputError


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A set whose networks have cards, and a file that is not to be shared."""
    root = save_selector(tmp_path / "set")
    for name in ("one-click", "cpn", "pvm"):
        (root / name / "README.md").write_text("A card.")
    (root / "cpn" / "notes.txt").write_text("private")
    return root


def test_configuration_weights_and_card_are_sent(weights: Path) -> None:
    files = [
        f"{n}/{f}"
        for n in ("one-click", "cpn", "pvm")
        for f in ("config.json", "model.safetensors", "README.md")
    ]
    uploads = files_to_push(weights)
    assert [upload.name for upload in uploads] == files
    assert all(upload.size == (weights / upload.name).stat().st_size for upload in uploads)
    (weights / "README.md").write_text("Of the set.")
    assert [upload.name for upload in files_to_push(weights)] == ["README.md", *files]
    assert [u.name for u in files_to_push(weights / "pvm")] == [
        "config.json",
        "model.safetensors",
        "README.md",
    ]


def test_the_cards_pictures_are_sent(weights: Path) -> None:
    (weights / "cpn" / "failures.jpg").write_bytes(b"picture")
    names = [upload.name for upload in files_to_push(weights)]
    assert names.index("cpn/failures.jpg") == names.index("cpn/README.md") + 1
    assert len(names) == 10


def test_what_can_not_be_shared(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no network there; expected config\.json, or folders one-click"):
        files_to_push(tmp_path)
    (weights / "cpn" / "README.md").unlink()
    with pytest.raises(InputError, match=r"cpn: README.md missing; write a model card"):
        files_to_push(weights)
    (weights / "pvm" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="model_type is bert, expected one of declutter-one-click"):
        files_to_push(weights / "pvm")


def test_a_dry_run_lists_and_sends_nothing(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "push", str(weights), "somebody/weights", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "one-click/model.safetensors" in said
    assert "notes.txt" not in said
    assert "9 files" in said
    assert "nothing was sent" in said


def test_without_a_token(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(InputError, match="no token for the hub; run `hf auth login`, or set HF_TOKEN"):
        push(weights, "somebody/weights")
    assert run(["models", "push", str(weights), "somebody/weights"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_hub_can_not_be_reached(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_none")
    with pytest.raises(InputError, match="repository 'not a name'"):
        push(weights, "not a name")


@pytest.mark.skipif(not (BUNDLED / "one-click").is_dir(), reason="no weights are bundled")
def test_the_bundled_weights_can_be_shared() -> None:
    assert {upload.name.split("/")[0] for upload in files_to_push(BUNDLED)} >= {"one-click", "cpn", "pvm"}
