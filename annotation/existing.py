"""The regions a task holds already, as run-length codes that are decoded once and then remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.decoding import region_labels, region_to_mask
from annotation.schemas import Task
from toolkit.errors import InputError
from toolkit.masks import mask_to_rle

logger = logging.getLogger(__name__)

META = "declutter"
"""Where our own notes stand in a region's `meta`."""


@dataclass(frozen=True)
class Existing:
    """A region of a draft or an annotation: its id, mask (COCO RLE), labels, and group."""

    id: str
    rle: Mapping[str, Any]
    labels: tuple[str, ...]
    group: str | int | None = None
    drafted: bool = False


class RegionReader:
    """Decodes regions to RLE, and remembers the latest ones: each request repeats all regions of its task.

    Args:
        most: how many masks to remember.
    """

    def __init__(self, most: int = 5000) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Mapping[str, Any] | None] = OrderedDict()

    def rle(self, region: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The mask of a region as COCO RLE, None for one that draws no area.

        Raises:
            InputError: the region is damaged.
        """
        key = _key(region)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        mask = region_to_mask(region)
        rle = None if mask is None or not mask.any() else mask_to_rle(mask)
        self._keep(key, rle)
        return rle

    def know(self, region: Mapping[str, Any], rle: Mapping[str, Any]) -> None:
        """Remember the mask that a region was just drawn from, so that nothing needs to be decoded."""
        self._keep(_key(region), rle)

    def _keep(self, key: bytes, rle: Mapping[str, Any] | None) -> None:
        with self._lock:
            self._known[key] = rle
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def existing(self, task: Task, image: str, item_index: int | None = None) -> list[Existing]:
        """All masks that a task's drafts and annotations hold on one image tag; damaged ones are logged."""
        found: dict[str, Existing] = {}
        for drafted, marked in _marked(task):
            for region in marked:
                if region.get("to_name") not in (None, image) or region.get("item_index") != item_index:
                    continue
                try:
                    rle = self.rle(region)
                except InputError as error:
                    logger.warning("task %s: %s", task.id, error)
                    continue
                if rle is not None:
                    one = str(region.get("id", ""))
                    found[one] = Existing(one, rle, tuple(region_labels(region)), group_of(region), drafted)
        return list(found.values())


def group_of(region: Mapping[str, Any]) -> str | int | None:
    """The group our notes give a region: a split's number, or a word of ours; None without them."""
    meta = region.get("meta")
    notes = meta.get(META) if isinstance(meta, Mapping) else None
    group = notes.get("group") if isinstance(notes, Mapping) else None
    return group if isinstance(group, (str, int)) and not isinstance(group, bool) else None


def rle_digest(rle: Mapping[str, Any]) -> str:
    """A short name for a mask, to tell later whether somebody changed it."""
    return hashlib.blake2b(str(rle["counts"]).encode(), digest_size=8).hexdigest()


def _marked(task: Task) -> Iterable[tuple[bool, Sequence[Mapping[str, Any]]]]:
    for annotation in task.annotations:
        yield False, annotation.result
    for draft in task.drafts:  # later, because a draft is newer than the annotation it changes
        yield True, draft.result


def _key(region: Mapping[str, Any]) -> bytes:
    """A digest of what a region's mask depends on."""
    value = region.get("value")
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{region.get('original_width')}x{region.get('original_height')}".encode())
    if isinstance(value, Mapping) and isinstance(value.get("imageDataURL"), str):
        digest.update(value["imageDataURL"].encode("utf-8", "replace"))
    else:
        digest.update(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "replace"))
    return digest.digest()
