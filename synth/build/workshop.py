"""Make one image of a build; it depends on the job and its number only, not on who makes it, or when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synth.build.job import ATTEMPTS, Job
from synth.compositing.compose import compose
from synth.objects.donors import Donor, DonorBank, DonorFault
from synth.objects.index import index_donors
from synth.photos import load_photo, read_photos, regions_file
from synth.planning import DrawDonor, plan_scene
from synth.scene import Photo, Plan, SceneInstance
from synth.settings import settings_to_mapping
from toolkit.data.merge import unify_categories
from toolkit.errors import InputError
from toolkit.image import open_image
from toolkit.masks import mask_to_rle
from toolkit.split import ImageRecord, Split, read_split

# Raised when the same settings give other bytes than before: no build is continued by another method.
METHOD = 2
# Fields of LVIS categories that count what is in the source, and say nothing about what is made from it.
_SOURCE_COUNTS = ("instance_count", "image_count", "frequency")
_DRAWS = 30  # donors tried before an object is given up
_NO_REGIONS = "it has no map of regions; run `declutter synth regions` on its split"


@dataclass
class Made:
    """One image of a build, or the reasons why there is none.

    Attributes:
        index: its number in the build, from 0.
        jpeg: the file; None when nothing could be made.
        image: fields of its record.
        annotations: COCO JSON objects without ids.
        skipped: bad input met on the way: what, and why.
        left_out: what placement and compositing left out, by reason.
        refused: donors looked at and found unsuitable, by reason.
    """

    index: int
    jpeg: bytes | None = None
    image: dict[str, Any] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """One image in the making: the photo, what was planned, the picture, and what can be seen in it."""

    photo: Photo
    record: ImageRecord
    plan: Plan
    blend: str
    canvas: np.ndarray
    kept: list[SceneInstance]


class Workshop:
    """The sources of a job, opened once per process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        settings = job.settings
        self.photos = read_photos(job.photos, job.photos_images)
        if len(self.photos) == 0:
            raise InputError(f"{job.photos}: holds no photos to paste into")
        tables = [self.photos.categories]
        self.bank: DonorBank | None = None
        if job.donors is not None:
            donors = read_split(job.donors, job.donors_images)
            tables.append(donors.categories)
            self.index = index_donors(donors, settings.objects, job.seed)
            cache = None if job.cutouts is None else Path(job.cutouts)
            self.bank = DonorBank(donors, settings.objects, settings.compositing.feather, cache)
        categories, maps = unify_categories(tables)
        self.categories = [_without_counts(category) for category in categories]
        self.photo_categories, self.donor_categories = maps[0], maps[-1]
        blends = settings.compositing.blends
        self.variants = len(blends) if settings.compositing.every_blend else 1
        scenes = -(-job.count // self.variants)
        order = np.random.default_rng([job.seed, 0x70686F74]).permutation(len(self.photos))  # its own stream
        self.order = order[: settings.photo_limit][: max(scenes, 1)]

    def identity(self) -> dict[str, Any]:
        """What must be equal for two builds to have the same bytes, as plain values; paths do not matter."""
        donors = None if self.bank is None else self.bank.split
        return {
            "method": METHOD,
            "photos": _describe(self.photos),
            "donors": None if donors is None else _describe(donors),
            "count": self.job.count,
            "seed": self.job.seed,
            "settings": settings_to_mapping(self.job.settings),
        }

    def photos_needed(self) -> list[ImageRecord]:
        """The photos that the build may paste into."""
        return [self.photos.images[int(place)] for place in self.order]

    def regions_of(self, record: ImageRecord) -> Path | None:
        """A photo's index map, or None."""
        return regions_file(self.photos, record, None if self.job.regions is None else Path(self.job.regions))

    def photo_of(self, index: int) -> ImageRecord:
        """The photo that the image of a number pastes into, if it can be used."""
        scene = index // self.variants
        return self.photos.images[int(self.order[scene % len(self.order)])]

    def make(self, index: int) -> Made:
        """Make the image of a number, from 0."""
        made = Made(index)
        scene = self.draw(index, made)
        if scene is None:
            return made
        height, width = scene.canvas.shape[:2]
        made.jpeg = encode_jpeg(scene.canvas, self.job.settings.compositing.quality)
        made.image = _image_fields(scene)
        made.annotations = [annotation_json(one, height, width) for one in scene.kept]
        return made

    def draw(self, index: int, made: Made) -> Scene | None:
        """Plan and draw the image of a number; None when no photo takes an object.

        Args:
            index: from 0.
            made: what could not be used, and why, is noted there.
        """
        number, variant = divmod(index, self.variants)
        for attempt in range(ATTEMPTS):
            rng = np.random.default_rng([self.job.seed, number, attempt])
            again = attempt > 0
            record = self.photos.images[int(rng.choice(self.order))] if again else self.photo_of(index)
            scene = self._try(record, rng, variant, made)
            if scene is not None:
                return scene
        return None

    def _try(self, record: ImageRecord, rng: np.random.Generator, variant: int, made: Made) -> Scene | None:
        """Make an image from a photo; None, with the reason noted, when that does not work."""
        settings = self.job.settings
        try:
            photo = self.open_photo(record, made.skipped)
        except InputError as error:
            made.skipped.append((record.file_name, str(error)))
            return None
        place_rng, look_rng = rng.spawn(2)
        plan = plan_scene(photo, self._donors(made), settings, place_rng)
        _add(made.left_out, plan.left_out)
        if not plan.pastes:
            reasons = ", ".join(plan.left_out) or "it has no region of a kind that takes objects"
            made.skipped.append((record.file_name, f"nothing could be placed: {reasons}"))
            return None
        blends = settings.compositing.blends
        blend = blends[variant] if self.variants > 1 else blends[int(rng.integers(len(blends)))]
        canvas, kept, dropped = compose(photo, plan, blend, settings.compositing, look_rng)
        if not any(one.origin["kind"] == "pasted" for one in kept):
            made.skipped.append((record.file_name, "nothing could be placed: no copy stays visible"))
            return None
        _add(
            made.left_out,
            Counter(f"{one.origin['kind']} instance dropped: too little of it visible" for one in dropped),
        )
        return Scene(photo, record, plan, blend, canvas, kept)

    def open_photo(self, record: ImageRecord, skipped: list[tuple[str, str]]) -> Photo:
        """Open a photo with its regions and annotations; see `load_photo`."""
        regions = self.regions_of(record)
        if regions is None:
            open_image(self.photos.image_path(record))  # an unreadable photo is the better reason
            raise InputError(_NO_REGIONS)
        return load_photo(self.photos, record, regions, self.job.settings, self.photo_categories, skipped)

    def _donors(self, made: Made) -> DrawDonor:
        """A function that draws donors and notes the ones that can't be used."""

        def draw(
            rng: np.random.Generator, least: float, most: float, categories: frozenset[int]
        ) -> Donor | None:
            if self.bank is None:
                return None
            for attempt in range(_DRAWS):
                entry = self.index.draw(rng, least, most)
                if entry is None:
                    return None
                category = self.donor_categories.get(int(self.index.category[entry]))
                if category is None:
                    _add(made.refused, {"its category is not in the split's list": 1})
                    continue
                # Different things rather than more of the same, as long as there is a choice.
                if category in categories and attempt < _DRAWS // 2:
                    continue
                try:
                    donor = self.bank.open(int(self.index.places[entry]))
                except DonorFault as error:
                    if error.broken:
                        made.skipped.append((error.item, error.reason))
                    _add(made.refused, {"broken" if error.broken else error.reason: 1})
                    continue
                return replace(donor, category_id=category)
            return None

        return draw


@lru_cache(maxsize=2)
def open_workshop(job: Job) -> Workshop:
    """Open the sources of a job, once per process."""
    return Workshop(job)


def make_image(job: Job, index: int) -> Made:
    """Make the image of a number: what every engine runs."""
    return open_workshop(job).make(index)


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Encode uint8 [H, W, 3] RGB as JPEG."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("the picture could not be encoded as JPEG")
    return data.tobytes()


def annotation_json(instance: SceneInstance, height: int, width: int) -> dict[str, Any]:
    """The COCO JSON object of an instance, without ids."""
    placed = instance.placed
    x0, y0, x1, y1 = box = placed.tight().box
    return {
        "category_id": instance.category_id,
        "segmentation": instance.rle or mask_to_rle(placed.full(height, width), box),
        "area": placed.area,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "iscrowd": instance.iscrowd,
        "group_id": instance.group_id,
        "origin": instance.origin,
    }


def _image_fields(scene: Scene) -> dict[str, Any]:
    """Fields of the image's record, besides its id and name."""
    height, width = scene.canvas.shape[:2]
    fields = {
        "width": width,
        "height": height,
        "photo": scene.record.file_name,
        "blend": scene.blend,
        "license": scene.photo.license,
        "source": scene.record.source,
        "donor_licenses": scene.plan.licenses,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for reason, count in more.items():
        counts[reason] = counts.get(reason, 0) + count


def _describe(split: Split) -> dict[str, Any]:
    return {
        "name": split.root.resolve().name,
        "images": len(split),
        "annotations": len(split.annotations),
    }


def _without_counts(category: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in category.items() if key not in _SOURCE_COUNTS}
