"""Fine-tuning all networks on annotations, with a part of the photos held back to compare on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.chooser import ChooserConfig, ChooserModel
from models.cpn import ProposalConfig
from models.finetune import FEWEST_PHOTOS, PARTS, is_better, model_section, split_by_name
from models.judge import JudgeConfig, JudgeModel
from models.selector import Selector
from tests.helpers.networks import random_refiner, save_selector
from tests.helpers.pictures import write_group_split
from toolkit.cli import run
from toolkit.errors import InputError
from toolkit.split import read_split

SHORT = [
    "schedule.steps=2", "schedule.batch_size=2", "schedule.warmup_steps=1", "schedule.workers=0",
    "schedule.mixed_precision=no", "data.crops=[{size: 64, until: 1}]",
]  # fmt: skip


def test_photos_held_back_stay_held_back(tmp_path: Path) -> None:
    thirty = write_group_split(tmp_path / "thirty", photos=30, size=48)
    learn, held, counts = split_by_name(thirty, tmp_path / "one")
    names = {record.file_name for record in read_split(held)}
    assert 1 <= len(names) <= 14
    assert not names & {record.file_name for record in read_split(learn)}
    assert counts["learn_photos"] + counts["held_photos"] == 30
    assert counts["learn_objects"] + counts["held_objects"] == 30 * 6
    # With fewer photos, none that was held back before is learned from now.
    twenty = write_group_split(tmp_path / "twenty", photos=20, size=48)
    less, _, _ = split_by_name(twenty, tmp_path / "two")
    assert not names & {record.file_name for record in read_split(less)}
    three = write_group_split(tmp_path / "three", photos=3, size=48)
    with pytest.raises(InputError, match=f"annotate at least {FEWEST_PHOTOS}"):
        split_by_name(three, tmp_path / "few")


def test_better_means_better_by_more_than_noise() -> None:
    assert is_better({"miou": 0.5, "ap": 0.3}, {"miou": 0.52, "ap": 0.3})
    assert not is_better({"miou": 0.5}, {"miou": 0.501})
    assert not is_better({"miou": 0.5, "ap": 0.3}, {"miou": 0.6, "ap": 0.1})
    assert not is_better({"miou": None}, {"miou": 0.9})
    assert not is_better({}, {})


def test_a_network_goes_on_in_its_own_shape(tmp_path: Path) -> None:
    section = model_section(save_selector(tmp_path) / "cpn", ProposalConfig)
    assert section["channels"] == 16
    assert section["adapter_depth"] == 1
    assert "feature_channels" not in section
    assert "model_type" not in section


def test_all_networks_learn_and_the_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = save_selector(tmp_path / "start")
    random_refiner().save_pretrained(start / "refiner")  # comes along as it is
    ChooserModel(ChooserConfig()).save_pretrained(start / "chooser")
    JudgeModel(JudgeConfig()).save_pretrained(start / "judge")
    photos = write_group_split(tmp_path / "photos", photos=6)
    out = tmp_path / "out"
    command = ["train", "finetune", "--set", f"data.train={photos}", "--init-from", str(start)]
    command += ["--out", str(out), *(word for one in SHORT for word in ("--set", one))]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert [line.split()[-1] for line in said.splitlines() if line.startswith("fine-tuning")] == list(PARTS)
    result = json.loads((out / "result.json").read_text())
    assert f"miou {result['miou_before']:.3f} → {result['miou_after']:.3f}" in said
    assert isinstance(result["better"], bool)
    assert result["learn_photos"] + result["held_photos"] == 6
    assert result["groups_ap_before"] is not None
    old, new = (Selector.load(folder, device="cpu").models for folder in (start, out / "weights"))
    for one, other in ((old.refiner, new.refiner), (old.chooser, new.chooser), (old.judge, new.judge)):
        assert one is not None
        assert other is not None
        for name, value in one.state_dict().items():
            assert torch.equal(other.state_dict()[name], value)
    for before, after in zip(
        (old.finder.model, old.proposals, old.verification),
        (new.finder.model, new.proposals, new.verification),
        strict=True,
    ):
        assert before is not None
        assert after is not None
        pairs = zip(before.parameters(), after.parameters(), strict=True)
        assert any(not torch.equal(one, other) for one, other in pairs)
    assert run([*command, "--resume"]) == 0
    assert json.loads((out / "result.json").read_text()) == result


def test_bad_input_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = write_group_split(tmp_path / "photos", photos=2)
    split = ["--set", f"data.train={photos}"]
    for arguments, expected in (
        ([], "data.train: no split to learn from"),
        ([*split, "--dry-run"], "finetune: takes no --max-minutes"),
        ([*split, "--init-from", str(tmp_path)], "holds no one-click to start from"),
        (split, "2 photos with annotations are too few"),
    ):
        assert run(["train", "finetune", "--out", str(tmp_path / "out"), *arguments]) == 2
        assert expected in " ".join(capsys.readouterr().err.split())
