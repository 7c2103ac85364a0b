"""How much clicking and how much time objects and groups of siblings take, from the records of clicks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.evaluation.clicks import failures, number_of_clicks
from toolkit.evaluation.truth import PhotoTruth
from toolkit.metrics import mean

Results = Sequence[tuple[PhotoTruth, dict[str, Any]]]
# iCMFormer++, section 4.2: "two IoU thresholds (85% and 90%) and a maximum of 20 clicks".
EFFORT_TARGETS = (0.85, 0.90)
# iCMFormer++, table 4: mIoU1+, mIoU5+ and mIoU10+, the mean IoU after so many additional clicks.
EFFORT_CLICKS = (1, 5, 10)
# EMC-Click, table 2, counts the time to 90 % and 95 %; 85 % is its other threshold.
TIME_TARGETS = (0.85, 0.90, 0.95)


@dataclass(frozen=True)
class GroupEffort:
    """The siblings of one group of a photo, clicked to the end.

    Attributes:
        image: id of the photo.
        exemplar: float [clicks], IoU after each click on the object that was drawn as the exemplar.
        collective: float [N, clicks], of what else there is to select, after the system's own mask of the
            exemplar.
        additional: float [N, clicks], of the same, with the exemplar's true mask and clicks given. Equal to
            `collective` for a system that learns nothing from an exemplar.
    """

    image: int
    exemplar: np.ndarray
    collective: np.ndarray
    additional: np.ndarray


def score_groups(groups: Sequence[GroupEffort], prefix: str) -> dict[str, Any]:
    """Return the collective and the additional effort for several objects of a kind.

    Returns:
        Under names that begin with the prefix: collective_n (masks to reach, the exemplars' among them),
        collective_noc_85, _90 (mean clicks), collective_nof_85, _90 (masks that never get there;
        iCMFormer++, table 3); without the exemplars additional_n, additional_noc_85, _90,
        additional_nofi_85, _90 (photos with a mask that never gets there), additional_miou_1, _5, _10
        (table 4). None with nothing to average.
    """
    together = [np.vstack([group.exemplar[None], group.collective]) for group in groups]
    rest = [group.additional for group in groups]
    result: dict[str, Any] = {"collective_n": sum(map(len, together))}
    for target in EFFORT_TARGETS:
        percent = round(100 * target)
        result[f"collective_noc_{percent}"] = _mean_of([number_of_clicks(ious, target) for ious in together])
        failed = sum(int(failures(ious, target).sum()) for ious in together)
        result[f"collective_nof_{percent}"] = failed if groups else None
    result["additional_n"] = sum(map(len, rest))
    for target in EFFORT_TARGETS:
        percent = round(100 * target)
        result[f"additional_noc_{percent}"] = _mean_of([number_of_clicks(ious, target) for ious in rest])
        photos = {group.image for group in groups if failures(group.additional, target).any()}
        result[f"additional_nofi_{percent}"] = len(photos) if groups else None
    for click in EFFORT_CLICKS:
        enough = [ious[:, click - 1] for ious in rest if ious.shape[1] >= click]
        result[f"additional_miou_{click}"] = _mean_of(enough)
    return {prefix + name: value for name, value in result.items()}


def seconds_to_reach(ious: Sequence[float], seconds: Sequence[float], encode: float, target: float) -> float:
    """Return the seconds that a system works on one object until its mask reaches an IoU.

    Args:
        ious: after each click.
        seconds: of each click that was made; there may be fewer.
        encode: seconds that encoding the photo took.
        target: IoU to reach; all clicks count where none does, as NoC counts them.
    """
    made = int(number_of_clicks(np.asarray(ious), target))
    return encode + float(sum(seconds[:made]))


def score_times(results: Results) -> dict[str, float | None]:
    """Return how long a system worked, in seconds, from the records of `eval clicks`.

    Returns:
        noc_95; time_85, time_90, time_95 (on all objects until they reach that IoU, the photo encoded anew
        for each object, as EMC-Click's table 2 counts) and mean_time_85 … (per object); time_90_shared (on
        all objects, each photo encoded once); seconds_first and seconds_later (medians of a click's; encoding
        belongs to the first). None with nothing to average.
    """
    traces = list(_traces(results))
    ious = np.array([own for own, _, _ in traces])
    figures: dict[str, float | None] = {"noc_95": float(number_of_clicks(ious, TIME_TARGETS[-1]).mean())}
    for target in TIME_TARGETS:
        percent = round(100 * target)
        total = sum(seconds_to_reach(*trace, target) for trace in traces)
        figures |= {f"time_{percent}": total, f"mean_time_{percent}": total / len(traces)}
    clicks = sum(seconds_to_reach(own, seconds, 0.0, 0.90) for own, seconds, _ in traces)
    figures["time_90_shared"] = clicks + sum(record.get("encode_seconds", 0.0) for _, record in results)
    firsts = [encode + seconds[0] for _, seconds, encode in traces if seconds]
    laters = [later for _, seconds, _ in traces for later in seconds[1:]]
    figures["seconds_first"] = float(np.median(firsts)) if firsts else None
    figures["seconds_later"] = float(np.median(laters)) if laters else None
    return figures


def mean_curves(results: Results, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean IoU and mean seconds of work so far, float [clicks] each, over all objects."""
    traces = list(_traces(results))
    spent = [encode + np.pad(seconds, (0, most - len(seconds))).cumsum() for _, seconds, encode in traces]
    return np.mean([ious for ious, _, _ in traces], axis=0), np.mean(spent, axis=0)


def _traces(results: Results) -> Iterator[tuple[list[float], list[float], float]]:
    """Yield each object's IoUs, the seconds of its clicks, and those that encoding its photo took."""
    for _, record in results:
        for entry in record["objects"]:
            yield entry["ious"][0], entry["seconds"][0], record.get("encode_seconds", 0.0)


def _mean_of(parts: Sequence[np.ndarray]) -> float | None:
    return mean(np.concatenate(parts)) if parts else None
