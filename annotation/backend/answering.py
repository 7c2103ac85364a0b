"""Answer an annotator's click: from a request to regions."""

from __future__ import annotations

import functools
import logging
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from annotation.backend.memory import SelectionMemory
from annotation.backend.metrics import Metrics
from annotation.backend.model import Served
from annotation.backend.model_worker import Urgency
from annotation.backend.photos import OpenPhoto, PhotoOpener, photo_address
from annotation.backend.recent import RecentAnswers
from annotation.backend.settings import BackendSettings
from annotation.decoding import region_labels
from annotation.existing import META, Existing, RegionReader, group_of
from annotation.label_config import LabelConfig, parse_label_config
from annotation.prompts import Prompt, image_tag, read_prompts
from annotation.regions import Canvas, Drawing, draw, offered_kinds, without_specks
from annotation.schemas import Prediction, PredictRequest, PromptRegion
from annotation.selecting import Selection, holds, select
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.masks import mask_box, mask_to_rle, rle_iou
from toolkit.selection import Instance

logger = logging.getLogger(__name__)

ASPECT_TOLERANCE = 0.02
MOST_DRAWING = 2

cached_config = functools.lru_cache(maxsize=64)(parse_label_config)


@dataclass(frozen=True)
class Found:
    """A mask to give, at the size the page works in."""

    mask: np.ndarray
    rle: dict[str, Any]
    score: float


class ClickAnswerer:
    """Turns smart clicks into regions.

    Args:
        settings: limits.
        photos: opens scenes.
        metrics: counts and times.
    """

    def __init__(self, settings: BackendSettings, photos: PhotoOpener, metrics: Metrics) -> None:
        self._settings, self._photos, self._metrics = settings, photos, metrics
        self._memory = SelectionMemory(settings.remember_minutes * 60)
        self._regions = RegionReader()
        self._recent = RecentAnswers()
        # Threads that compute at the same time only keep each other, and the event loop, from running.
        self._drawing = threading.BoundedSemaphore(MOST_DRAWING)

    def answer(self, request: PredictRequest, served: Served) -> Prediction:
        """The regions that the pending clicks of a request ask for; none where there is nothing to give.

        Raises:
            InputError: the click, the configuration or the photo cannot be used; says why.
            TimeoutError: the model took too long.
        """
        deadline = time.monotonic() + self._settings.answer_seconds
        points = request.context.result if request.context else []
        empty = Prediction(result=[], score=0.0, model_version=served.version)
        if not points:
            return self._empty(empty, "no-click")
        config = cached_config(request.label_config)
        image = image_tag(points, config)
        newest = points[-1]
        task = request.tasks[0]
        address = photo_address(task, config, image, newest.item_index)
        photo = self._photos.open(served, address, task.id, Urgency.ENCODE, deadline - time.monotonic())
        scene = photo.scene
        canvas = canvas_for(newest, image, scene.height, scene.width)
        here = [point for point in points if point.item_index == newest.item_index]
        prompts = read_prompts(here, config, image, scene.height, scene.width)
        self._count(prompts[-1:])
        place = f"{request.project}/{task.id}/{newest.item_index}"
        selections = self._select(photo, prompts, place, deadline)
        if not selections:
            return self._empty(empty, "nothing-found")
        with self._drawing, self._metrics.stages.labels("draw").time():
            existing = self._regions.existing(task, image, newest.item_index)
            pending = [point.id for point in here]
            click = scaled(prompts[-1].click, canvas, scene.height, scene.width)
            fresh = self._recent.accepted(place, pending, click, {region.id for region in existing})
            result = self._draw(selections, config, canvas, [*existing, *fresh], served.version)
            self._recent.keep(place, pending, fresh, [as_existing(*one) for one in result])
        if not result:
            return self._empty(empty, "known-already")
        self._metrics.regions.inc(len(result))
        score = max(selection.members[0].score for selection in selections)
        regions = [region for region, _ in result]
        return Prediction(result=regions, score=float(score), model_version=served.version)

    def _empty(self, answer: Prediction, reason: str) -> Prediction:
        self._metrics.empty.labels(reason).inc()
        return answer

    def _count(self, prompts: Sequence[Prompt]) -> None:
        for prompt in prompts:
            self._metrics.clicks.labels(prompt.mode, "+" if prompt.click.positive else "-").inc()

    def _select(
        self, photo: OpenPhoto, prompts: Sequence[Prompt], place: str, deadline: float
    ) -> list[Selection]:
        negatives = [prompt.click for prompt in prompts if not prompt.click.positive]
        before = self._memory.rejected(place)
        if len(negatives) == len(prompts):
            # The page has accepted the selection already; what was clicked counts for the next one.
            self._memory.keep(place, [], [*before, *negatives])
            return []

        def call(scene: Any) -> tuple[list[Selection], list[Click]]:
            found = select(scene, prompts)
            rejected = [click for click in before if not _clicked_now(found, click)]
            if rejected and self._memory.continues(place, _rles(found)):
                return select(scene, prompts, rejected), rejected
            return found, []

        with self._metrics.stages.labels("select").time():
            found, rejected = self._photos.run(Urgency.CLICK, photo, call, deadline - time.monotonic())
        self._memory.keep(place, _rles(found), [*rejected, *negatives])
        return found

    def _draw(
        self,
        selections: Sequence[Selection],
        config: LabelConfig,
        canvas: Canvas,
        existing: Sequence[Existing],
        version: str,
    ) -> list[tuple[dict[str, Any], Found]]:
        regions: list[tuple[dict[str, Any], Found]] = []
        left = self._settings.max_regions
        for selection in selections:
            drawn = self._draw_one(selection, config, canvas, existing, version, left)
            regions += drawn
            left -= len(drawn)
        return regions

    def _draw_one(
        self,
        selection: Selection,
        config: LabelConfig,
        canvas: Canvas,
        existing: Sequence[Existing],
        version: str,
        most: int,
    ) -> list[tuple[dict[str, Any], Found]]:
        controls = offered_kinds(config, canvas.to_name, selection.label)
        found = [self._prepare(one, canvas) for one in selection.members]
        known = _match(found, existing, self._settings.duplicate_iou)
        heads = [region for region in known[:1] if region is not None]
        group = next((region.group for region in known if region is not None and region.group), None)
        if group is None and selection.mode == "all" and not selection.note:
            group = secrets.token_hex(4)
        fresh = [
            (index, one)
            for index, (one, same) in enumerate(zip(found, known, strict=True))
            if one is not None and same is None
        ]
        self._left_out("duplicate", sum(same is not None for same in known))
        self._left_out("speck", sum(one is None for one in found))
        # The clicked object first, then its siblings from the surest down.
        fresh.sort(key=lambda item: (item[0] != 0, -item[1].score))
        given, surplus = fresh[:most], len(fresh) - most
        self._left_out("limit", max(surplus, 0))
        drawings: list[Drawing] = []
        parent = next((region.id for region in heads if region.drafted), None)
        for number, (index, one) in enumerate(given):
            notes: dict[str, Any] = {"role": "clicked" if index == 0 else "sibling", "model": version}
            text = []
            if group is not None:
                notes["group"] = group
                text.append(f"group {group}")
            if number == 0 and surplus > 0:
                text.append(
                    f"{surplus} more left out: at most {self._settings.max_regions} regions are given"
                )
            if number == 0 and selection.note:
                text.append(selection.note)
            drawing = Drawing(selection.label, one.score, parent=parent, meta={"text": text, META: notes})
            if index == 0:
                parent = drawing.id
            drawings.append(drawing)
        regions = draw([one.mask for _, one in given], drawings, controls, canvas, already=len(existing))
        for region, (_, one) in zip(regions, given, strict=True):
            self._regions.know(region, one.rle)
        return [(region, one) for region, (_, one) in zip(regions, given, strict=True)]

    def _prepare(self, one: Instance, canvas: Canvas) -> Found | None:
        """A mask at the page's size without specks, None when nothing is left."""
        mask, box = one.mask, one.box
        if mask.shape != (canvas.height, canvas.width):
            size = (canvas.width, canvas.height)
            mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
            box = mask_box(mask)
        kept = without_specks(mask, self._settings.min_region_pixels, box)
        return None if kept is None else Found(kept, mask_to_rle(kept, box), one.score)

    def _left_out(self, reason: str, count: int) -> None:
        if count:
            self._metrics.left_out.labels(reason).inc(count)


def as_existing(region: dict[str, Any], found: Found) -> Existing:
    """A region that was just drawn, as one that the task holds."""
    labels = tuple(region_labels(region))
    return Existing(region["id"], found.rle, labels, group_of(region), drafted=True)


def canvas_for(point: PromptRegion, image: str, height: int, width: int) -> Canvas:
    """What the page draws on, given the size of the photo as we see it.

    Raises:
        InputError: the page sees a photo of another shape.
    """
    page_width, page_height = point.original_width or width, point.original_height or height
    if (page_height, page_width) != (height, width):
        page, ours = page_width / page_height, width / height
        if abs(page / ours - 1) > ASPECT_TOLERANCE:
            turned = (page_height, page_width) == (width, height)
            hint = "; its EXIF orientation is not applied there" if turned else ""
            raise InputError(
                f"the page shows a photo of {page_width} × {page_height} pixels, but the photo is "
                f"{width} × {height}{hint}; reload the task"
            )
    return Canvas(page_width, page_height, image, _number(point.image_rotation), point.item_index)


def scaled(click: Click, canvas: Canvas, height: int, width: int) -> Click:
    """A click on our photo of height × width, in pixels of the page's."""
    return replace(click, x=click.x * canvas.width / width, y=click.y * canvas.height / height)


def _number(value: float) -> float:
    return int(value) if value == int(value) else value


def _clicked_now(found: Sequence[Selection], click: Click) -> bool:
    """Whether an object that was kept out before has been clicked itself."""
    return any(holds(selection.members[0].mask, click) for selection in found)


def _rles(found: Sequence[Selection]) -> list[dict[str, Any]]:
    return [mask_to_rle(one.mask, one.box) for selection in found for one in selection.members]


def _match(
    found: Sequence[Found | None], existing: Sequence[Existing], threshold: float
) -> list[Existing | None]:
    """For each mask, the region that holds it already, if one does."""
    matches: list[Existing | None] = [None] * len(found)
    present = [(index, one) for index, one in enumerate(found) if one is not None]
    if not present:
        return matches
    size = present[0][1].rle["size"]  # of the page; masks of another photo can't be the same
    alike = [region for region in existing if list(region.rle["size"]) == size]
    if not alike:
        return matches
    ious = rle_iou([one.rle for _, one in present], [dict(region.rle) for region in alike])
    for (index, _), row in zip(present, ious, strict=True):
        best = int(row.argmax())
        if row[best] >= threshold:
            matches[index] = alike[best]
    return matches
