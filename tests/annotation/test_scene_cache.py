"""The scene cache, the model worker, the disk cache and the memory of negatives, each on its own."""

from __future__ import annotations

import random
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from annotation.backend.disk_cache import DiskCache
from annotation.backend.memory import SelectionMemory
from annotation.backend.model_worker import ModelWorker, Urgency
from annotation.backend.scene_cache import SceneCache
from toolkit.clicks import Click
from toolkit.masks import mask_to_rle


def scene(size: int) -> SimpleNamespace:
    return SimpleNamespace(nbytes=size, height=1, width=1)


def test_the_least_recently_used_goes_first():
    cache = SceneCache(budget=30)
    for key in "abc":
        cache.get(key, lambda: scene(10))
    cache.get("a", lambda: pytest.fail("a is there"))
    cache.get("d", lambda: scene(10))
    assert "b" not in cache
    assert [key in cache for key in "acd"] == [True] * 3
    assert cache.nbytes == 30
    assert cache.counts.evicted == 1


def test_a_scene_larger_than_the_budget_is_used_but_not_kept():
    cache = SceneCache(budget=30)
    cache.get("a", lambda: scene(10))
    assert cache.get("big", lambda: scene(31)).nbytes == 31
    assert "big" not in cache
    assert "a" in cache
    assert cache.nbytes == 10


def test_scenes_that_grow_are_weighed_again():
    cache = SceneCache(budget=30)
    first = cache.get("a", lambda: scene(10))
    cache.get("b", lambda: scene(10))
    first.nbytes = 25
    cache.measure("a")
    assert "b" not in cache
    assert cache.nbytes == 25


def test_who_asks_together_shares_one_run_and_one_failure():
    cache = SceneCache(budget=30)
    runs = []
    started, go = threading.Event(), threading.Event()

    def failing():
        runs.append(1)
        started.set()
        go.wait(5)
        raise ValueError("broken photo")

    errors = []

    def ask():
        try:
            cache.get("a", failing)
        except ValueError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    threads[0].start()
    started.wait(5)
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.1)
    go.set()
    for thread in threads:
        thread.join(5)
    assert len(runs) == 1
    assert errors == ["broken photo"] * 6
    assert cache.get("a", lambda: scene(1)).nbytes == 1  # a failure is not remembered


def test_many_threads_never_exceed_the_budget_nor_encode_twice_at_once():
    cache = SceneCache(budget=100)
    running: set[str] = set()
    most = [0]
    lock = threading.Lock()

    def encode(key):
        def make():
            with lock:
                assert key not in running
                running.add(key)
            time.sleep(0.001)
            with lock:
                running.discard(key)
            return scene(10 + int(key))

        return make

    def work(seed):
        chance = random.Random(seed)
        for _ in range(100):
            key = str(chance.randrange(12))
            assert cache.get(key, encode(key)).nbytes == 10 + int(key)
            most[0] = max(most[0], cache.nbytes)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most[0] <= 100
    assert cache.nbytes <= 100


def test_urgent_calls_overtake_and_nothing_runs_twice_at_once():
    worker = ModelWorker()
    order, gate = [], threading.Event()
    blocker = worker.submit(Urgency.BATCH, lambda: gate.wait(5))
    time.sleep(0.05)
    futures = [
        worker.submit(urgency, lambda name=name: order.append(name))
        for name, urgency in (("batch", Urgency.BATCH), ("ahead", Urgency.AHEAD), ("click", Urgency.CLICK))
    ]
    failing = worker.submit(Urgency.CLICK, lambda: 1 / 0)
    gate.set()
    blocker.result(5)
    for future in futures:
        future.result(5)
    assert order == ["click", "ahead", "batch"]
    with pytest.raises(ZeroDivisionError):
        failing.result(5)
    worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.submit(Urgency.CLICK, lambda: None)


def test_a_closed_worker_leaves_nobody_waiting():
    worker = ModelWorker()
    gate = threading.Event()
    worker.submit(Urgency.CLICK, lambda: gate.wait(5))
    waiting = worker.submit(Urgency.BATCH, lambda: "never")
    threading.Timer(0.1, gate.set).start()
    worker.close()
    assert waiting.cancelled()


class Takeable:
    """A system whose scenes are arrays."""

    def scene_arrays(self, one):
        return {"features": one.features}

    def scene_from_arrays(self, arrays):
        return SimpleNamespace(features=arrays["features"], nbytes=arrays["features"].nbytes)


def test_scenes_survive_on_disk_within_a_budget(tmp_path):
    disk = DiskCache(tmp_path / "scenes", budget=25_000, system=Takeable())
    assert disk.usable
    for number in range(4):
        disk.put(f"k{number}", SimpleNamespace(features=np.full(1000, number, np.float64)))
        time.sleep(0.02)
    assert disk.take("k0") is None  # four scenes of 8 kB are too many
    assert (disk.take("k3").features == 3).all()
    cache = SceneCache(10**6, shelf=disk)
    found = cache.get("k3", lambda: pytest.fail("it is on the disk"))
    assert found.features[0] == 3
    assert cache.counts.shelf_hits == 1
    for path in (tmp_path / "scenes").glob("*.npz"):
        path.write_bytes(b"damaged")
    assert disk.take("k3") is None


def test_systems_that_cannot_take_scenes_apart_use_memory_alone(tmp_path):
    disk = DiskCache(tmp_path, budget=10, system=object())
    assert not disk.usable
    disk.put("a", scene(1))
    assert disk.take("a") is None
    assert list(tmp_path.iterdir()) == []


def test_negatives_are_remembered_for_their_task_and_their_time():
    now = [0.0]
    memory = SelectionMemory(60, clock=lambda: now[0])
    mask = np.zeros((10, 10), bool)
    mask[2:5, 2:5] = True
    rle, other = mask_to_rle(mask), mask_to_rle(~mask)
    memory.keep("t", [rle], [Click(1, 1, positive=False)])
    assert memory.rejected("t") == [Click(1, 1, positive=False)]
    assert memory.rejected("u") == []
    assert memory.continues("t", [rle])
    assert not memory.continues("t", [other])
    assert not memory.continues("t", [])
    assert not memory.continues("u", [rle])
    now[0] = 61
    assert memory.rejected("t") == []


def test_recent_answers_count_until_the_draft_is_saved():
    from annotation.backend.recent import RecentAnswers
    from annotation.existing import Existing

    now = [0.0]
    recent = RecentAnswers(15, clock=lambda: now[0])
    mask = np.zeros((10, 10), bool)
    mask[2:5, 2:5] = True
    given = Existing("r1", mask_to_rle(mask), ("Distractor",))
    recent.keep("t", ["p1"], [], [given])
    beside, on = Click(8, 8), Click(3, 3)
    assert recent.accepted("t", ["p2"], beside, set()) == [given]
    assert (
        recent.accepted("t", ["p2"], on, set()) == []
    )  # it was rejected, or the page would have selected it
    assert recent.accepted("t", ["p1", "p2"], beside, set()) == []  # still pending
    assert recent.accepted("t", ["p2"], beside, {"r1"}) == []  # the draft holds it
    assert recent.accepted("u", ["p2"], beside, set()) == []
    recent.keep("t", ["p2"], [given], [])
    assert recent.accepted("t", ["p2", "p3"], beside, set()) == [given]
    now[0] = 16
    assert recent.accepted("t", ["p4"], beside, set()) == []
