"""Click after click on each object: how fast the mask gets good enough, and how good it gets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.clicks import Click, next_click
from toolkit.errors import InputError
from toolkit.evaluation.clicking import EXACT, Aim, piece_at, random_of
from toolkit.evaluation.photos import Protocol, measure_with_report
from toolkit.evaluation.plots import click_figures
from toolkit.evaluation.tables import click_tables
from toolkit.evaluation.truth import PhotoTruth, ignored_of, mask_of
from toolkit.masks import mask_iou
from toolkit.metrics import SIZES, bootstrap_ratio, size_of
from toolkit.report import write_result
from toolkit.selection import Instance
from toolkit.split import Split
from toolkit.systems import Scene, System

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]
# RITM (Sofiiuk et al., 2022), section 5: at most 20 clicks, NoC@85 and NoC@90; NoC@80 after iCMFormer.
MOST_CLICKS = 20
TARGETS = (0.80, 0.85, 0.90)


@dataclass(frozen=True)
class ClickProtocol:
    """How objects are clicked.

    Attributes:
        most: clicks per object.
        positive_only: click missed pixels only, as SimpSON's Figure 5 does; else missed or wrong ones, where
            the error is deeper, as RITM does.
        aim: how exactly.
        repeats: times that every object is clicked anew; more than one make sense with an inexact aim.

    Raises:
        InputError: fewer than one click or repeat.
    """

    most: int = MOST_CLICKS
    positive_only: bool = False
    aim: Aim = EXACT
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.most < 1 or self.repeats < 1:
            raise InputError(f"clicks and repeats: expected at least 1, got {self.most} and {self.repeats}")

    @property
    def settings(self) -> dict[str, Any]:
        """All of it as JSON values."""
        aim = {"jitter": self.aim.jitter, "human": self.aim.human}
        return {"most_clicks": self.most, "positive_only": self.positive_only, **aim, "repeats": self.repeats}


def run_clicks(
    split: Split,
    system: System,
    out: Path,
    clicking: ClickProtocol | None = None,
    *,
    limit: int | None = None,
    seed: int = 0,
    ritm_nof: bool = False,
) -> dict[str, Any]:
    """Click every object of a split again and again; write result.json, table.md, clicks.png, report.json.

    Each click goes where the last mask is most wrong (see `toolkit.clicks.next_click`), the first one to the
    object's centre; all clicks are made, also after a good mask. Objects are clicked alone; crowds are not.
    Pixels of an annotation's `ignore` (RLE; label -1 of the benchmarks) count neither way. Runs again where
    it stopped.

    Args:
        split: photos and annotations.
        system: what is measured.
        out: folder of the results.
        clicking: how objects are clicked.
        limit: measure that many photos only, drawn with `seed`.
        seed: of the draw and of inexact clicks.
        ritm_nof: see `failures`.

    Returns:
        What result.json holds; see `score_clicks`.

    Raises:
        InputError: nothing in the split can be measured.
    """
    clicking = clicking or ClickProtocol()
    results = run_click_records(split, system, out, clicking, limit=limit, seed=seed)
    result = {"system": system.name, **clicking.settings, **score_clicks(results, seed, ritm_nof)}
    write_result(out, result, click_tables(result), click_figures(curves_by_size(results)))
    return result


def run_click_records(
    split: Split, system: System, out: Path, clicking: ClickProtocol, *, limit: int | None, seed: int
) -> list[tuple[PhotoTruth, dict[str, Any]]]:
    """Do the clicking of `run_clicks`; write records and report.json into `out`."""
    protocol = Protocol(
        name="clicks",
        settings={**clicking.settings, "seed": None if clicking.aim.exact else seed, "timed": True},
        applies=lambda truth: bool(truth.objects_to_find()),
        measure=partial(click_objects, clicking=clicking, seed=seed),
        nothing_found=partial(_nothing, clicking=clicking),
    )
    return measure_with_report(protocol, split, system, out, limit=limit, seed=seed, **clicking.settings)


def click_objects(scene: Scene, truth: PhotoTruth, clicking: ClickProtocol, seed: int) -> dict[str, Any]:
    """Click each object of an encoded photo; returns the photo's record."""
    objects = []
    for found in truth.objects_to_find():
        mask, ignored = mask_of(found), ignored_of(found)
        traces = []
        for repeat in range(clicking.repeats):
            rng = random_of(seed, truth.record.id, found.id, repeat)
            traces.append(trace_clicks(scene.segment, mask, clicking, rng, ignored))
        ious, seconds = [trace.ious for trace in traces], [trace.seconds for trace in traces]
        objects.append({"id": found.id, "ious": ious, "seconds": seconds})
    return {"objects": objects}


def _nothing(truth: PhotoTruth, clicking: ClickProtocol) -> dict[str, Any]:
    ious = [[0.0] * clicking.most for _ in range(clicking.repeats)]
    seconds: list[list[float]] = [[] for _ in range(clicking.repeats)]
    objects = [{"id": found.id, "ious": ious, "seconds": seconds} for found in truth.objects_to_find()]
    return {"objects": objects}


@dataclass(frozen=True)
class ClickTrace:
    """What came of the clicks on one object.

    Attributes:
        ious: after each click, as many as the protocol has clicks.
        seconds: that the answer to each click took; fewer, where no pixel was left to click.
    """

    ious: list[float]
    seconds: list[float]


def click_repeatedly(
    scene: Scene,
    truth: np.ndarray,
    clicking: ClickProtocol,
    rng: np.random.Generator,
    ignored: np.ndarray | None = None,
) -> list[float]:
    """Return the IoU after each click on one object; see `trace_clicks`."""
    return trace_clicks(scene.segment, truth, clicking, rng, ignored).ious


def trace_clicks(
    segment: Callable[[Sequence[Click]], Instance | None],
    truth: np.ndarray,
    clicking: ClickProtocol,
    rng: np.random.Generator,
    ignored: np.ndarray | None = None,
) -> ClickTrace:
    """Click one object again and again.

    Once no pixel is left to click, the mask stays as it is.

    Args:
        segment: answers all clicks made so far, such as an encoded photo's `segment`.
        truth: bool [H, W], the object.
        clicking: how it is clicked.
        rng: of inexact clicks.
        ignored: bool [H, W], pixels that count neither way.
    """
    counted = np.ones_like(truth) if ignored is None else ~ignored
    wanted = truth & counted
    prediction = np.zeros_like(truth)
    clicks: list[Click] = []
    ious: list[float] = []
    seconds: list[float] = []
    while len(ious) < clicking.most:
        spot = next_click(truth, prediction, clicks, clicking.positive_only, ignored)
        if spot is None:
            last = ious[-1] if ious else 0.0
            return ClickTrace(ious + [last] * (clicking.most - len(ious)), seconds)
        if not clicking.aim.exact:
            error = (truth & ~prediction if spot.positive else prediction & ~truth) & counted
            spot = clicking.aim.move(spot, piece_at(error, spot), rng)
        clicks.append(spot)
        start = time.perf_counter()
        answer = segment(clicks)
        seconds.append(round(time.perf_counter() - start, 5))
        prediction = np.zeros_like(truth) if answer is None else answer.mask
        if prediction.shape != truth.shape:
            raise InputError(f"a mask is {prediction.shape}, the photo {truth.shape}; masks cover it whole")
        ious.append(mask_iou(wanted, prediction & counted))
    return ClickTrace(ious, seconds)


def number_of_clicks(ious: np.ndarray, target: float) -> np.ndarray:
    """Return the first click that reaches an IoU, else the most clicks: int [...] of float [..., clicks]."""
    reached = ious >= target
    return np.where(reached.any(-1), reached.argmax(-1) + 1, ious.shape[-1])


def failures(ious: np.ndarray, target: float, ritm: bool = False) -> np.ndarray:
    """Return which objects no click brings to an IoU: bool [...] of float [..., clicks].

    Args:
        ious: after each click.
        target: IoU to reach.
        ritm: count as RITM's program does, where an object that gets there with the very last click fails.
    """
    counted = ious[..., :-1] if ritm else ious
    return np.asarray(~(counted >= target).any(-1))


def score_clicks(results: Results, seed: int = 0, ritm_nof: bool = False) -> dict[str, Any]:
    """Turn the records of all photos into the flat result.

    Returns:
        n (objects), images, noc_80, noc_85, noc_90 (mean clicks to that IoU), nof_80 … (objects that never
        get there), miou_1 … miou_20 (mean IoU after so many clicks), all as means over the repeats, with …_sd
        (standard deviation over repeats; None for one), and noc_90_ci_low, noc_90_ci_high (95 %, bootstrap
        over photos).
    """
    ious = np.array([entry["ious"] for _, record in results for entry in record["objects"]])  # [N, R, clicks]
    result: dict[str, Any] = {"n": len(ious), "images": len(results), "ritm_nof": ritm_nof}
    for target in TARGETS:
        percent = round(100 * target)
        result |= _over_repeats(f"noc_{percent}", number_of_clicks(ious, target).mean(0))
    for target in TARGETS:
        percent = round(100 * target)
        result |= _over_repeats(f"nof_{percent}", failures(ious, target, ritm_nof).sum(0))
    noc = iter(number_of_clicks(ious, TARGETS[-1]).mean(1))
    per_photo = [[next(noc) for _ in record["objects"]] for _, record in results]
    interval = bootstrap_ratio([sum(p) for p in per_photo], [len(p) for p in per_photo], seed=seed)
    result["noc_90_ci_low"], result["noc_90_ci_high"] = interval or (None, None)
    for click in range(ious.shape[2]):
        result |= _over_repeats(f"miou_{click + 1}", ious[:, :, click].mean(0))
    return result


def _over_repeats(name: str, values: np.ndarray) -> dict[str, float | None]:
    """Mean and standard deviation of a figure over the repeats, [R]."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else None
    return {name: float(values.mean()), f"{name}_sd": spread}


def curves_by_size(results: Results) -> dict[str, np.ndarray]:
    """Return mean IoU per click, float [clicks], of "all" objects and of each size that there is."""
    chosen: dict[str, list[np.ndarray]] = {"all": [], **{size: [] for size in SIZES}}
    for truth, record in results:
        for found, entry in zip(truth.objects_to_find(), record["objects"], strict=True):
            ious = np.mean(entry["ious"], axis=0)
            chosen["all"].append(ious)
            chosen[size_of(found.area)].append(ious)
    return {f"{name} ({len(ious)})": np.mean(ious, axis=0) for name, ious in chosen.items() if ious}
