"""Open the photo of a task as a scene: fetched, decoded and encoded at most once."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from annotation.backend.fetching import Digests, PhotoFetcher
from annotation.backend.metrics import Metrics
from annotation.backend.model import Served
from annotation.backend.model_worker import ModelWorker, Urgency
from annotation.backend.scene_cache import SceneCache
from annotation.label_config import LabelConfig
from annotation.schemas import Task
from toolkit.errors import InputError
from toolkit.image import open_image


@dataclass(frozen=True)
class OpenPhoto:
    """An encoded photo, and the key it is cached under."""

    scene: Any
    key: str


class PhotoOpener:
    """Opens photos as scenes, through the cache.

    Args:
        fetcher: gets the bytes.
        worker: runs the encoder.
        cache: keeps the scenes.
        metrics: times the stages.
        max_pixels: of a photo.
    """

    def __init__(
        self,
        fetcher: PhotoFetcher,
        worker: ModelWorker,
        cache: SceneCache,
        metrics: Metrics,
        max_pixels: int,
    ) -> None:
        self.fetcher, self.worker, self.cache = fetcher, worker, cache
        self._metrics, self._max_pixels = metrics, max_pixels
        self._digests = Digests()

    def open(
        self, served: Served, address: object, task_id: int | None, urgency: Urgency, timeout: float
    ) -> OpenPhoto:
        """The scene of the photo at an address.

        Raises:
            InputError: the photo may not be read, cannot be read, or is no photo.
            TimeoutError: encoding took too long.
        """
        known = self._digests.get(str(address))
        key = scene_key(served.version, known) if known else ""
        data = None
        if not known or key not in self.cache:
            with self._metrics.stages.labels("fetch").time():
                data = self.fetcher.fetch(address, task_id)
            digest = hashlib.sha256(data).hexdigest()
            self._digests.put(str(address), digest)
            key = scene_key(served.version, digest)

        def encode() -> Any:
            body = data if data is not None else self.fetcher.fetch(address, task_id)
            with self._metrics.stages.labels("open").time():
                image = open_image(body, max_pixels=self._max_pixels)
            with self._metrics.stages.labels("encode").time():
                return self.worker.submit(urgency, lambda: served.system.encode(image)).result(timeout)

        return OpenPhoto(self.cache.get(key, encode, timeout), key)

    def run(self, urgency: Urgency, photo: OpenPhoto, call: Any, timeout: float) -> Any:
        """Run a model call on an open photo, and weigh its scene again afterwards."""
        future: Future[Any] = self.worker.submit(urgency, lambda: call(photo.scene))
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise
        finally:
            self.cache.measure(photo.key)


def scene_key(version: str, digest: str) -> str:
    """What a scene depends on."""
    return f"{version}:{digest}"


def photo_address(task: Task, config: LabelConfig, image: str, item_index: int | None) -> object:
    """The address of the photo that an image tag shows.

    Raises:
        InputError: the task has none.
    """
    field = config.images[image]
    value = task.data.get(field)
    if isinstance(value, list):
        index = item_index or 0
        value = value[index] if index < len(value) else None
    if value is None:
        raise InputError(f'task {task.id}: its data has no "{field}", which the image tag "{image}" shows')
    return value
