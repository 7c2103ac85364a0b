"""The part of a task that draws training pictures; light enough to travel to the loader's workers."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.data.canvas import Canvas
from models.data.composer import Composer, ComposerConfig
from models.data.pool import PhotoPool
from models.recipes.schema import DataSettings, ScheduleSettings
from toolkit.errors import InputError
from toolkit.split import read_split


class PictureStream:
    """The endless stream of composed pictures: picture ``index`` depends on the seed and the index only.

    Raises:
        InputError: The recipe names no training split, or there is none of that name.
    """

    def __init__(self, data: DataSettings, schedule: ScheduleSettings) -> None:
        if data.train is None:
            raise InputError("data.train: no split to train on; add --set data.train=FOLDER")
        if not data.train.exists():
            raise InputError(f"data.train: '{data.train}' does not exist; give the folder of a split")
        if schedule.steps is None:
            raise InputError("schedule.steps: the length must be in steps here")
        self.data = data
        self.seed = schedule.seed
        self.batch_size = schedule.batch_size
        self.samples = schedule.steps * schedule.batch_size
        self._composer: Composer | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Each worker reads the split itself."""
        return {**self.__dict__, "_composer": None}

    @property
    def composer(self) -> Composer:
        """Made on first use, in the process that uses it."""
        if self._composer is None:
            if self.data.train is None:
                raise InputError("data.train: no split to train on; add --set data.train=FOLDER")
            pool = PhotoPool(
                read_split(self.data.train), self.data.source_power, self.data.cache_megabytes << 20
            )
            self._composer = Composer(pool, ComposerConfig(**self.data.composer.model_dump()))
        return self._composer

    def crop_size(self, index: int) -> int:
        """Crop side of a sample; all samples of one batch have the same."""
        progress = (index // self.batch_size) * self.batch_size / self.samples
        for stage in self.data.crops:
            if progress < stage.until:
                return stage.size
        return self.data.crops[-1].size

    def picture(self, index: int) -> tuple[Canvas, np.random.Generator]:
        """A picture, and the generator for what else is random about the sample."""
        rng = np.random.default_rng([self.seed, index])
        return self.composer.compose(rng, self.crop_size(index)), rng
