from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from toolkit.evaluation.effort import GroupEffort, mean_curves, score_groups, score_times, seconds_to_reach


def record(encode: float, *objects: tuple[list[float], list[float]]):
    """A photo's record of `eval clicks`: per object the IoUs and the seconds of its clicks."""
    entries = [{"id": i, "ious": [ious], "seconds": [seconds]} for i, (ious, seconds) in enumerate(objects)]
    return SimpleNamespace(), {"objects": entries, "encode_seconds": encode}


def test_seconds_to_reach_an_iou() -> None:
    ious, seconds = [0.5, 0.8, 0.92, 0.6], [4.0, 1.0, 2.0, 8.0]
    assert seconds_to_reach(ious, seconds, 10.0, 0.5) == 14
    assert seconds_to_reach(ious, seconds, 10.0, 0.9) == 17
    assert seconds_to_reach(ious, seconds, 10.0, 0.95) == 25  # never: all clicks
    # after the second click nothing was left to click
    assert seconds_to_reach([0.5, 0.9, 0.9, 0.9], [4.0, 1.0], 0.0, 0.95) == 5


def test_times_by_hand() -> None:
    results = [
        record(10.0, ([0.86, 0.91, 0.96], [1.0, 2.0, 4.0]), ([0.2, 0.3, 0.4], [1.0, 1.0, 3.0])),
        record(2.0, ([1.0, 1.0, 1.0], [5.0])),
    ]
    figures = score_times(results)
    # to 85 %: 10 + 1, 10 + 5, 2 + 5; to 90 %: 10 + 3, …; to 95 %: 10 + 7, …
    assert [figures[f"time_{percent}"] for percent in (85, 90, 95)] == [33, 35, 39]
    assert figures["mean_time_90"] == pytest.approx(35 / 3)
    assert figures["time_90_shared"] == 35 - 10  # the first photo is encoded once for both of its objects
    assert figures["noc_95"] == pytest.approx((3 + 3 + 1) / 3)
    assert figures["seconds_first"] == 11  # of 11, 11 and 7
    assert figures["seconds_later"] == 2.5  # of 1, 2, 3 and 4
    ious, seconds = mean_curves(results, 3)
    assert ious == pytest.approx([2.06 / 3, 2.21 / 3, 2.36 / 3])
    assert seconds == pytest.approx([29 / 3, 32 / 3, 39 / 3])  # 11 + 11 + 7, 13 + 12 + 7, 17 + 15 + 7


def test_a_photo_on_which_the_system_failed_took_no_time() -> None:
    truth, failed = record(0.0, ([0.0, 0.0], []))
    del failed["encode_seconds"]
    figures = score_times([(truth, failed)])
    assert (figures["time_90"], figures["seconds_first"], figures["seconds_later"]) == (0, None, None)


def test_collective_and_additional_effort_by_hand() -> None:
    groups = [
        GroupEffort(
            image=1,
            exemplar=np.array([0.5, 0.91, 0.95]),  # 2 clicks
            collective=np.array([[0.1, 0.2, 0.3], [0.87, 0.88, 0.9]]),  # never; 1 click to 85, 3 to 90 %
            additional=np.array([[0.9, 0.9, 0.9], [0.2, 0.86, 0.86]]),  # 1 click; 2 to 85 %, never 90 %
        ),
        # the same photo, another group
        GroupEffort(
            1, np.array([0.9, 0.9, 0.9]), np.array([[0.95, 0.95, 0.95]]), np.array([[0.4, 0.6, 0.8]])
        ),
    ]
    figures = score_groups(groups, "one_")
    assert (figures["one_collective_n"], figures["one_additional_n"]) == (5, 3)
    assert figures["one_collective_noc_85"] == pytest.approx((2 + 3 + 1 + 1 + 1) / 5)
    assert figures["one_collective_noc_90"] == pytest.approx((2 + 3 + 3 + 1 + 1) / 5)
    assert (figures["one_collective_nof_85"], figures["one_collective_nof_90"]) == (1, 1)
    assert figures["one_additional_noc_85"] == pytest.approx((1 + 2 + 3) / 3)
    # objects fail in both groups, but of one photo
    assert (figures["one_additional_nofi_85"], figures["one_additional_nofi_90"]) == (1, 1)
    assert figures["one_additional_miou_1"] == pytest.approx(0.5)
    assert figures["one_additional_miou_5"] is None  # there were three clicks


def test_without_groups_there_is_nothing_to_average() -> None:
    figures = score_groups([], "all_")
    assert (figures["all_collective_n"], figures["all_collective_noc_85"]) == (0, None)
    assert figures["all_additional_nofi_90"] is None
