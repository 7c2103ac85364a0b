"""Which copy of a photo siblings are sought in: one that shows them neither too small nor too large."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np

from models.encoding import encode_view
from models.view import PhotoView, SelectionModels
from models.zoom_in import LEAST_GAIN, SIBLINGS_SCALE

# Larger side, pixels of a view, at which siblings are sought: models/RESULTS.md, "Groups".
SIBLING_SIDE = 64.0
# In the finest view; of anything smaller the click proposal network sees too little there.
SMALLEST_SIDE = 24.0


class SiblingViews:
    """The views of a photo, and a finer one that is encoded once a click on something small needs it.

    Threads may share one.

    Args:
        models: The networks.
        views: Those that there are.
        photo: uint8 ``[H, W, 3]`` RGB; None for no finer view.
    """

    def __init__(self, models: SelectionModels, views: Sequence[PhotoView], photo: np.ndarray | None) -> None:
        self._models, self._views, self._photo = models, tuple(views), photo
        self._finer: PhotoView | None = None
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory that the finer view holds, in bytes; 0 before it is needed."""
        return 0 if self._finer is None else self._finer.nbytes

    def nearest(self, side: float, zoom_in: bool) -> PhotoView:
        """The view that shows an object, and what is like it, nearest to the size that finds most siblings.

        Clicks on things of one size look in one view, where the networks' answers are known by then.

        Args:
            side: Larger side of the object, pixels of the photo.
            zoom_in: Whether a finer view may be encoded for it.
        """
        side = max(side, 1.0)
        finest = max(view.scale for view in self._views)
        finer = LEAST_GAIN * finest
        if zoom_in and self._photo is not None and finer <= SIBLINGS_SCALE and side * finest < SMALLEST_SIDE:
            return self._finer_view(self._photo, finer)
        return min(self._views, key=lambda view: abs(math.log(side * view.scale / SIBLING_SIDE)))

    def _finer_view(self, photo: np.ndarray, scale: float) -> PhotoView:
        with self._lock:
            if self._finer is None:
                self._finer = encode_view(self._models, photo, scale)
            return self._finer
