"""Pre-labels for many tasks, in the background and with progress, and photos encoded ahead."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotation.backend.answering import cached_config
from annotation.backend.model import Served
from annotation.backend.model_worker import Urgency
from annotation.backend.photos import OpenPhoto, PhotoOpener, photo_address
from annotation.backend.settings import BackendSettings
from annotation.label_config import LabelConfig
from annotation.proposals import proposal_regions, propose
from annotation.schemas import Prediction, PredictRequest, Task
from toolkit.errors import InputError

logger = logging.getLogger(__name__)

MOST_JOBS = 100
MOST_PROPOSALS = 2000
MOST_AHEAD = 16

Deliver = Callable[[int, Prediction], None]


@dataclass
class Batch:
    """One request for pre-labels, and how far it is."""

    id: int
    project: str
    total: int
    started: float = field(default_factory=time.time)
    done: int = 0
    failed: int = 0
    delivered: int = 0
    state: str = "running"
    problems: list[str] = field(default_factory=list)
    predictions: dict[int, Prediction] = field(default_factory=dict, repr=False)

    def report(self) -> dict[str, Any]:
        """The progress as JSON."""
        return {
            "id": self.id,
            "project": self.project,
            "state": self.state,
            "total": self.total,
            "done": self.done,
            "failed": self.failed,
            "delivered": self.delivered,
            "seconds": round(time.time() - self.started, 1),
            "problems": self.problems[:20],
        }


class BatchAnswerer:
    """Pre-labels tasks.

    What is ready within the time that Label Studio may wait is answered at once; the rest goes on in the
    background and is delivered through Label Studio's own interface, if there is a key for it. Otherwise it
    is remembered, and the next request finds it ready.

    Args:
        settings: limits.
        photos: opens scenes.
        deliver: stores a prediction of a task in Label Studio; None where that is not possible.
    """

    def __init__(
        self, settings: BackendSettings, photos: PhotoOpener, deliver: Deliver | None = None
    ) -> None:
        self._settings, self._photos, self._deliver = settings, photos, deliver
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._batches: OrderedDict[int, Batch] = OrderedDict()
        self._ready: OrderedDict[str, Prediction] = OrderedDict()
        self._ahead = threading.BoundedSemaphore(MOST_AHEAD)
        self._closed = threading.Event()

    def close(self) -> None:
        """Stop background work after the photo it is at."""
        self._closed.set()

    def reports(self) -> list[dict[str, Any]]:
        """The progress of the latest batches, the newest first."""
        with self._lock:
            return [batch.report() for batch in reversed(self._batches.values())]

    def open_ahead(self, request: PredictRequest, served: Served) -> list[Prediction]:
        """Somebody opens a task: encode its photo in the background, and give what is proposed already."""
        task = request.tasks[0]
        ready = self._remembered(request, task, served)
        if ready is not None:
            return [ready]
        if self._ahead.acquire(blocking=False):
            thread = threading.Thread(
                target=self._encode, args=(request, task, served), name="declutter-ahead", daemon=True
            )
            thread.start()
        return []

    def answer(self, request: PredictRequest, served: Served) -> list[list[Prediction]]:
        """Pre-labels for each task of a batch; an empty list where they are not ready or there is none."""
        batch = Batch(next(self._numbers), request.project or "", len(request.tasks))
        with self._lock:
            self._batches[batch.id] = batch
            while len(self._batches) > MOST_JOBS:
                self._batches.popitem(last=False)
        answered = threading.Event()
        thread = threading.Thread(
            target=self._run,
            args=(batch, request, served, answered),
            name=f"declutter-batch-{batch.id}",
            daemon=True,
        )
        thread.start()
        thread.join(self._settings.batch_seconds)
        with self._lock:
            answered.set()
            given = dict(batch.predictions)
            batch.delivered += len(given)
        return [[given[index]] if index in given else [] for index in range(len(request.tasks))]

    def _run(self, batch: Batch, request: PredictRequest, served: Served, answered: threading.Event) -> None:
        for index, task in enumerate(request.tasks):
            if self._closed.is_set():
                batch.state = "stopped"
                return
            try:
                prediction = self._propose(request, task, served)
            except Exception as error:  # noqa: BLE001 - one bad photo must not end the batch
                self._failed(batch, task, error)
                continue
            with self._lock:
                batch.done += 1
                late = answered.is_set()
                if not late:
                    batch.predictions[index] = prediction
            if late:
                self._hand_over(batch, task, prediction)
        batch.state = "finished"
        logger.info(
            "pre-labels of project %s: %d of %d, %d failed",
            batch.project,
            batch.done,
            batch.total,
            batch.failed,
        )

    def _failed(self, batch: Batch, task: Task, error: Exception) -> None:
        batch.failed += 1
        batch.problems.append(f"task {task.id}: {error}")
        logger.warning(
            "pre-label of task %s failed: %s",
            task.id,
            error,
            exc_info=not isinstance(error, (InputError, TimeoutError)),
        )

    def _hand_over(self, batch: Batch, task: Task, prediction: Prediction) -> None:
        if self._deliver is None or task.id is None:
            return
        try:
            self._deliver(task.id, prediction)
        except Exception as error:  # noqa: BLE001 - Label Studio may be gone; the proposal is remembered
            self._failed(batch, task, error)
        else:
            batch.delivered += 1

    def _propose(self, request: PredictRequest, task: Task, served: Served) -> Prediction:
        ready = self._remembered(request, task, served)
        if ready is not None:
            return ready
        config, image = _first_image(request)
        photo = self._open(config, image, task, served, Urgency.BATCH)
        instances = self._photos.run(Urgency.BATCH, photo, propose, self._settings.answer_seconds)
        regions = proposal_regions(
            instances,
            config,
            image,
            photo.scene.height,
            photo.scene.width,
            max_regions=self._settings.max_regions,
            min_pixels=self._settings.min_region_pixels,
            version=served.version,
        )
        score = max((one.score for one in instances), default=0.0)
        prediction = Prediction(result=regions, score=float(score), model_version=served.version)
        with self._lock:
            self._ready[_name(request, task, served)] = prediction
            while len(self._ready) > MOST_PROPOSALS:
                self._ready.popitem(last=False)
        return prediction

    def _encode(self, request: PredictRequest, task: Task, served: Served) -> None:
        try:
            config, image = _first_image(request)
            photo = self._open(config, image, task, served, Urgency.AHEAD)
            if (prepare := getattr(photo.scene, "prepare", None)) is not None:
                self._photos.run(Urgency.AHEAD, photo, lambda _: prepare(), self._settings.answer_seconds)
        except Exception as error:  # noqa: BLE001 - the click that follows will say what is wrong
            logger.info("task %s was not encoded ahead: %s", task.id, error)
        finally:
            self._ahead.release()

    def _open(
        self, config: LabelConfig, image: str, task: Task, served: Served, urgency: Urgency
    ) -> OpenPhoto:
        address = photo_address(task, config, image, None)
        return self._photos.open(served, address, task.id, urgency, self._settings.answer_seconds)

    def _remembered(self, request: PredictRequest, task: Task, served: Served) -> Prediction | None:
        with self._lock:
            return self._ready.get(_name(request, task, served))


def _first_image(request: PredictRequest) -> tuple[LabelConfig, str]:
    config = cached_config(request.label_config)
    return config, next(iter(config.images))


def _name(request: PredictRequest, task: Task, served: Served) -> str:
    values: Sequence[object] = (
        served.version,
        request.project,
        hash(request.label_config),
        task.id,
        str(task.data),
    )
    return "\n".join(str(value) for value in values)
