"""Fine-tune all networks of a selector on new annotations, and tell whether that made them better.

Part of the photos is held back by name, so that a photo once held back is never learned from, however many
annotations come later. The new weights are better only if they beat the old ones there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from toolkit.errors import InputError
from toolkit.files import write_json_atomic
from toolkit.split import Split, SplitWriter, read_split

NAME = "finetune"
FOLLOWERS = ("refiner", "chooser", "judge")  # they judge masks of things they never saw as well
PARTS = ("one-click", "cpn", "pvm")  # CPN and PVM learn on the features of 1C-DSN, so they follow it
HELD_BACK = 0.2  # of the photos
FEWEST_PHOTOS = 5
MARGIN = 0.005  # by how much the mean score must rise, so that noise does not change what is served
MOST_COMPARED = 200  # photos; more would not change the verdict, and take hours on a laptop

Say = Callable[[str], None]


@dataclass(frozen=True)
class Finetuning:
    """What to fine-tune, and how.

    Attributes:
        split: The annotations.
        out: Folder of the run; the new networks come to ``out/weights``.
        start: Folder with the networks to start from.
        settings: Changes to the recipes, ``key=value``, for all networks alike.
        resume: Whether to go on where an earlier run in ``out`` stopped.
    """

    split: Path
    out: Path
    start: Path
    settings: tuple[str, ...] = ()
    resume: bool = False

    @property
    def weights(self) -> Path:
        """Folder of the new networks."""
        return self.out / "weights"


def finetune(job: Finetuning, say: Say) -> dict[str, Any]:
    """Split, fine-tune every network that is there, and compare; a run that was stopped goes on.

    Returns:
        What ``out/result.json`` holds: ``better``, the scores with the endings ``_before`` and ``_after``,
        and the number of photos and objects.

    Raises:
        InputError: Too few photos, or weights that are missing or can't go on.
    """
    if not (job.start / PARTS[0] / "config.json").is_file():
        raise InputError(f"{job.start}: holds no {PARTS[0]} to start from; give --init-from FOLDER")
    learn, held, counts = split_by_name(job.split, job.out)
    say(f"{counts['learn_photos']} photos to learn from, {counts['held_photos']} held back")
    for part in PARTS:
        if (job.start / part).is_dir():
            say(f"fine-tuning {part}")
            _learn(job, part, learn)
    for part in FOLLOWERS:
        if (job.start / part).is_dir():
            shutil.copytree(job.start / part, job.weights / part, dirs_exist_ok=True)
    say("comparing on the photos held back")
    before = scores(held, job.start, job.out / "before")
    after = scores(held, job.weights, job.out / "after")
    better = is_better(before, after)
    result: dict[str, Any] = {"better": better, **counts}
    for ending, found in (("before", before), ("after", after)):
        result.update({f"{name}_{ending}": value for name, value in found.items()})
    write_json_atomic(job.out / "result.json", result)
    verdict = "better" if better else "not better: keep the old weights"
    say(f"{verdict} ({describe(before, after)}); {job.out / 'result.json'}")
    return result


def split_by_name(source: Path, out: Path) -> tuple[Path, Path, dict[str, int]]:
    """Write the annotated photos of a split as one to learn from and one held back.

    Returns:
        Their folders, and how many photos and objects each has.

    Raises:
        InputError: There are too few annotated photos.
    """
    split = read_split(source)
    marked = [index for index, record in enumerate(split.images) if split.annotations_of(record.id)]
    if len(marked) < FEWEST_PHOTOS:
        raise InputError(
            f"{len(marked)} photos with annotations are too few to learn from; "
            f"annotate at least {FEWEST_PHOTOS}"
        )
    ranks = {index: _rank(split.images[index].file_name) for index in marked}
    held = {index for index in marked if ranks[index] < HELD_BACK} or {min(marked, key=ranks.__getitem__)}
    learn = set(marked) - held or set(marked[:-1])
    counts = {}
    for name, indices in (("learn", learn), ("held", held)):
        part = split.subset(sorted(indices))
        counts[f"{name}_photos"], counts[f"{name}_objects"] = len(part), len(part.annotations)
        _copy(part, out / name)
    return out / "learn", out / "held", counts


def scores(held: Path, weights: Path, out: Path) -> dict[str, float | None]:
    """What a folder of networks reaches on a split: mIoU of single clicks, AP and AR of groups."""
    from models.selector import Selector
    from toolkit.evaluation.groups import run_groups
    from toolkit.evaluation.one_click import run_one_click

    split, selector = read_split(held), Selector.load(weights)
    single = run_one_click(split, selector, out / "one-click", limit=MOST_COMPARED)
    found: dict[str, float | None] = {"miou": single["miou"]}
    grouped = any(a.group_id is not None for record in split for a in split.annotations_of(record.id))
    if selector.models.proposals is not None and grouped:
        groups = run_groups(split, selector, out / "groups", limit=MOST_COMPARED)
        found.update({"groups_ap": groups["ap"], "groups_ar": groups["ar"]})
    return found


def is_better(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> bool:
    """Whether the mean of the scores that both have rose by more than the margin."""
    pairs = [(before.get(name), value) for name, value in after.items()]
    gains = [new - old for old, new in pairs if old is not None and new is not None]
    return bool(gains) and sum(gains) / len(gains) > MARGIN


def describe(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> str:
    """Scores before and after, in one line."""
    return ", ".join(f"{name} {_text(before.get(name))} → {_text(value)}" for name, value in after.items())


def model_section(folder: Path, kind: type) -> dict[str, Any]:
    """The recipe's ``model`` section that builds the network in a folder.

    Args:
        folder: Of a network.
        kind: Class of its configuration.
    """
    from models.recipes.reading import FROM_FROZEN

    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = set(signature(kind).parameters) - {"kwargs", *FROM_FROZEN}
    return {name: value for name, value in written.items() if name in known}


def reads_stages(folder: Path) -> bool:
    """Whether the CPN or PVM in a folder reads the backbone's own maps."""
    return bool(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("stage_channels"))


def _learn(job: Finetuning, part: str, learn: Path) -> None:
    from models.initial_weights import initial_weights
    from models.recipes import build_task
    from toolkit.training import fit
    from toolkit.training.checkpoints import list_checkpoints

    folder = job.out / part
    own: dict[str, Any] = {"data.train": str(learn), "model": model_section(job.start / part, _kinds()[part])}
    if part != PARTS[0]:
        own["one_click"] = str(job.weights / PARTS[0])
        own["stages"] = reads_stages(job.start / part)
    if part == "pvm" and not (job.weights / "cpn").is_dir():
        own["false_proposals"] = 0
    # JSON is YAML too, whatever a path holds.
    settings = [f"{key}={json.dumps(value)}" for key, value in own.items()] + list(job.settings)
    goes_on = job.resume and bool(list_checkpoints(folder / "checkpoints"))
    task, schedule, _ = build_task(f"{NAME}-{part}", settings, pretrained=False)
    start = None if goes_on else initial_weights(task.model, job.start / part)
    fit(task, schedule, folder, resume=job.resume, init_from=start)
    shutil.copytree(folder / "final", job.weights / part, dirs_exist_ok=True)


def _kinds() -> dict[str, type]:
    from models.cpn import ProposalConfig
    from models.one_click import OneClickConfig
    from models.pvm import VerificationConfig

    return dict(zip(PARTS, (OneClickConfig, ProposalConfig, VerificationConfig), strict=True))


def _copy(split: Split, out: Path) -> None:
    with SplitWriter(
        out, categories=split.categories, info=split.info, licenses=split.licenses, overwrite=True, link=True
    ) as writer:
        for record in split:
            writer.add_record(record, split.image_path(record), split.annotations_of(record.id))


def _rank(name: str) -> float:
    """A number in [0, 1) that depends on a name only."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def paths_of(settings: Sequence[str]) -> tuple[Path | None, tuple[str, ...]]:
    """The split in ``data.train=…`` among a command line's settings, and the other settings."""
    splits = [one.partition("=")[2] for one in settings if one.startswith("data.train=")]
    others = tuple(one for one in settings if not one.startswith("data.train="))
    return (Path(splits[-1]) if splits else None), others
