"""The settings of a synthesis: what is copied, how often, how varied, how blended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from toolkit.blending import BLENDS
from toolkit.errors import InputError

Range = tuple[float, float]


@dataclass(frozen=True)
class ObjectSettings:
    """Which objects may be copied.

    Attributes:
        per_region: different objects copied in a region at least, topped up from the donors
            (SimpSON, Section 4: "a minimum of three objects to copy for each region").
        own_per_region: at most this many of them are the photo's own distractors.
        min_side: shorter side of the object's box, pixels.
        area_ratio: object area by region area, from and to.
        border: pixels between the object and its photo's border; nearer counts as cut off.
        max_contact: share of the outline that touches other annotated objects; more counts as occluded.
        min_main_part: share of the area in the largest part; less counts as cut in pieces by something in
            front.
        pool: most donors considered, drawn with the seed; None for all.
    """

    per_region: int = 3
    own_per_region: int = 3
    min_side: int = 8
    area_ratio: Range = (0.0004, 0.05)
    border: int = 2
    max_contact: float = 0.25
    min_main_part: float = 0.8
    pool: int | None = 20_000


@dataclass(frozen=True)
class PlacementSettings:
    """Where copies go, and how many.

    Attributes:
        max_copies: per object and region (SimpSON, Section 4: "a maximum of 10").
        coverage: share of the region that the copies of one object cover together at most; gives their
            number.
        min_region: share of the photo that a region must have.
        jitter: 0 puts a copy on the peak of the distance map, 1 anywhere it still has the peak's free circle.
        gap: pixels kept free around each copy.
        max_overlap: share of a copy that may lie off the free region; a copy beyond it is left out.
        avoid_instances: whether the photo's annotated objects are taken out of the regions first.
        perspective: 0 keeps a copy's size; 1 scales it on the ground with its row, as the ground recedes.
    """

    max_copies: int = 10
    coverage: float = 0.04
    min_region: float = 0.02
    jitter: float = 0.3
    gap: float = 1.0
    max_overlap: float = 0.1
    avoid_instances: bool = True
    perspective: float = 0.5


@dataclass(frozen=True)
class VariationSettings:
    """How copies differ from each other: similar, slightly different.

    Attributes:
        scale: factor, from and to.
        angle: degrees, counter-clockwise, from and to.
        flip: share of mirrored copies.
        brightness: largest relative change of all channels.
        colour: largest relative change of each channel by itself.
    """

    scale: Range = (0.85, 1.15)
    angle: Range = (-20.0, 20.0)
    flip: float = 0.5
    brightness: float = 0.1
    colour: float = 0.04


@dataclass(frozen=True)
class CompositingSettings:
    """How copies join the photo.

    Attributes:
        blends: names of blends, one drawn per image.
        every_blend: make each scene once with every blend instead: the same placement, other seams.
        feather: half the width of the soft boundary, pixels.
        light: 0 leaves the object's brightness, 1 takes the region's.
        colour: 0 leaves the object's cast, 1 takes the region's.
        shadow: darkness of the contact shadow on the ground, 0 for none.
        shadow_share: share of images with contact shadows.
        noise: whether the photo's noise is added to objects with less.
        jpeg: whether objects are compressed as the photo was.
        min_visible: an instance of which less than this share is left is dropped from the annotations.
        quality: of the JPEG written, 1 to 100.
    """

    blends: tuple[str, ...] = ("feather", "gaussian", "poisson", "hard")
    every_blend: bool = False
    feather: float = 1.0
    light: float = 0.25
    colour: float = 0.1
    shadow: float = 0.35
    shadow_share: float = 0.5
    noise: bool = True
    jpeg: bool = True
    min_visible: float = 0.35
    quality: int = 92


@dataclass(frozen=True)
class SynthSettings:
    """All settings of a synthesis.

    Attributes:
        longest_side: photos are shrunk to it, pixels; None leaves them.
        photo_limit: at most this many different photos are used; None for all.
    """

    objects: ObjectSettings = field(default_factory=ObjectSettings)
    placement: PlacementSettings = field(default_factory=PlacementSettings)
    variation: VariationSettings = field(default_factory=VariationSettings)
    compositing: CompositingSettings = field(default_factory=CompositingSettings)
    longest_side: int | None = None
    photo_limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that no run can use, naming the field."""
        objects, placement, compositing = self.objects, self.placement, self.compositing
        unknown = set(compositing.blends) - set(BLENDS)
        _require(
            bool(compositing.blends) and not unknown,
            "compositing.blends",
            f"one or more of {', '.join(BLENDS)}",
            compositing.blends,
        )
        for name, value in (
            ("placement.coverage", placement.coverage),
            ("placement.min_region", placement.min_region),
            ("placement.jitter", placement.jitter),
            ("placement.max_overlap", placement.max_overlap),
            ("placement.perspective", placement.perspective),
            ("variation.flip", self.variation.flip),
            ("objects.max_contact", objects.max_contact),
            ("objects.min_main_part", objects.min_main_part),
            ("compositing.light", compositing.light),
            ("compositing.colour", compositing.colour),
            ("compositing.shadow", compositing.shadow),
            ("compositing.shadow_share", compositing.shadow_share),
            ("compositing.min_visible", compositing.min_visible),
        ):
            _require(0 <= value <= 1, name, "between 0 and 1", value)
        for name, value in (
            ("objects.per_region", objects.per_region),
            ("objects.min_side", objects.min_side),
            ("placement.max_copies", placement.max_copies),
        ):
            _require(value >= 1, name, "at least 1", value)
        for name, span in (
            ("objects.area_ratio", objects.area_ratio),
            ("variation.scale", self.variation.scale),
        ):
            _require(0 < span[0] <= span[1], name, "above 0 and in order", span)
        _require(placement.gap >= 0, "placement.gap", "0 or more", placement.gap)
        _require(1 <= compositing.quality <= 100, "compositing.quality", "1 to 100", compositing.quality)
        for name, limit in (("longest_side", self.longest_side), ("photo_limit", self.photo_limit)):
            _require(limit is None or limit >= 1, name, "at least 1, or nothing", limit)


def _require(condition: bool, name: str, expected: str, value: object) -> None:
    if not condition:
        raise InputError(f"setting {name} is {value}: it must be {expected}")


T = TypeVar("T")


def settings_from_mapping(values: Mapping[str, Any]) -> SynthSettings:
    """Make settings from nested plain values, as they come from YAML; what is absent keeps its default.

    Raises:
        InputError: an unknown field, or a value of the wrong kind, by its full name.
    """
    return _build(SynthSettings, values, "")


def _build(kind: type[T], values: Any, path: str) -> T:
    if not isinstance(values, Mapping):
        raise InputError(f"setting {path or 'file'}: expected fields and values, not {values!r}")
    hints = get_type_hints(kind)
    unknown = sorted(set(map(str, values)) - set(hints))
    if unknown:
        raise InputError(f"setting {path}{unknown[0]} is unknown: use one of {', '.join(hints)}")
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            arguments[name] = _build(hint, value, f"{path}{name}.")  # type: ignore[arg-type]
        else:
            arguments[name] = _convert(hint, value, f"{path}{name}")
    return kind(**arguments)


def _convert(hint: Any, value: Any, name: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise InputError(f"setting {name} is {value!r}: {problem[0].lower()}{problem[1:]}") from error


def settings_to_mapping(settings: SynthSettings) -> dict[str, Any]:
    """Turn settings into nested plain values, the inverse of `settings_from_mapping`."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return list(value) if isinstance(value, tuple) else value

    return plain(dataclasses.asdict(settings))


def settings_from_file(path: Path, base: SynthSettings) -> SynthSettings:
    """Change settings by a YAML file of nested fields and values; what it does not name stays.

    Raises:
        InputError: no such file, no valid YAML, an unknown field or an unusable value.
    """
    import yaml

    try:
        changes = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check --settings") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(changes, Mapping):
        raise InputError(f"{path}: expected fields and values")
    return settings_from_mapping(_merged(settings_to_mapping(base), changes))


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def override(settings: SynthSettings, assignments: list[str]) -> SynthSettings:
    """Apply assignments such as ``placement.coverage=0.1``; the value is read as YAML.

    Raises:
        InputError: no such field, or an unusable value.
    """
    import yaml

    values = settings_to_mapping(settings)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment}: expected name=value, such as placement.coverage=0.1")
        *folders, last = name.strip().split(".")
        target: Any = values
        for folder in folders:
            target = target.get(folder) if isinstance(target, dict) else None
        if not isinstance(target, dict) or last not in target:
            raise InputError(f"--set {name}: there is no such setting; see `declutter synth build --help`")
        try:
            target[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--set {assignment}: the value is not valid YAML") from error
    return settings_from_mapping(values)
