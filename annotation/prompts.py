"""What an annotator's smart clicks ask for: where, how much, under which label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, radians, sin

from annotation.label_config import Control, LabelConfig, Mode, mask_label_for
from annotation.schemas import PromptRegion
from toolkit.clicks import Click
from toolkit.errors import InputError

# A click on the very border of the photo still belongs to its last pixel.
BORDER_SLACK = 0.5  # percent


@dataclass(frozen=True)
class Prompt:
    """One click: where in the photo, whether its object's siblings are wanted, and the mask label to give."""

    click: Click
    mode: Mode
    label: str


def image_tag(points: Sequence[PromptRegion], config: LabelConfig) -> str:
    """The image tag that was clicked: the one the newest point names, or the only one there is.

    Raises:
        InputError: there are several, and the point names none of them.
    """
    named = points[-1].to_name if points else ""
    if named in config.images:
        return named
    if len(config.images) == 1 and not named:
        return next(iter(config.images))
    raise InputError(f'the click is on "{named}"; the configuration has {", ".join(config.images)}')


def read_prompts(
    points: Sequence[PromptRegion], config: LabelConfig, image: str, height: int, width: int
) -> list[Prompt]:
    """Turn pending smart points into prompts in pixels of the photo.

    A rectangle stands for a click at its centre. Points on other image tags are left out.

    Args:
        points: as the page sends them, the newest last.
        config: the project's configuration.
        image: the image tag that is being worked on.
        height: of the photo.
        width: of the photo.

    Raises:
        InputError: a point lies outside the photo, or its label cannot be mapped to a mask label.
    """
    return [_prompt(point, config, height, width) for point in points if point.to_name in ("", image)]


def _prompt(point: PromptRegion, config: LabelConfig, height: int, width: int) -> Prompt:
    x, y = point.value.x, point.value.y
    if point.type.startswith("rectangle"):
        x, y = _centre(point, height, width)
    if not (-BORDER_SLACK <= x <= 100 + BORDER_SLACK and -BORDER_SLACK <= y <= 100 + BORDER_SLACK):
        raise InputError(f"the click at {x:.1f} %, {y:.1f} % lies outside the photo")
    click = Click(
        x=min(max(x / 100 * width, 0.0), width - 0.5),
        y=min(max(y / 100 * height, 0.0), height - 0.5),
        positive=point.is_positive,
    )
    control = _control(point, config)
    value = next(iter(point.labels()), "")
    label = control.label(value)
    return Prompt(click, label.mode if label else "all", mask_label_for(config, control, value))


def _control(point: PromptRegion, config: LabelConfig) -> Control:
    control = config.control(point.from_name)
    if control is None:
        raise InputError(f'the click came from "{point.from_name}", which the configuration does not have')
    return control


def _centre(point: PromptRegion, height: int, width: int) -> tuple[float, float]:
    """The centre of a rectangle turned about its top left corner, in percent."""
    value = point.value
    angle = radians(value.rotation)
    right, down = value.width / 200 * width, value.height / 200 * height  # pixels from the corner, unturned
    x = value.x / 100 * width + right * cos(angle) - down * sin(angle)
    y = value.y / 100 * height + right * sin(angle) + down * cos(angle)
    return x / width * 100, y / height * 100
