"""From an annotator's pending prompts to the objects they select: pure logic over a scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from annotation.label_config import Mode
from annotation.prompts import Prompt
from toolkit.clicks import Click
from toolkit.masks import mask_box
from toolkit.selection import Instance

SAME_OBJECT = 0.5  # IoU from which two masks are one object
NO_SIBLINGS = "this system finds no similar objects: only the clicked one is given"


@dataclass
class Selection:
    """What one or several prompts on one object select.

    `members` starts with the clicked object; with mode "all" its siblings follow, unless `note` says why not.
    """

    label: str
    mode: Mode
    clicks: list[Click]
    members: list[Instance] = field(default_factory=list)
    note: str = ""


def select(scene: Any, prompts: Sequence[Prompt], rejected: Sequence[Click] = ()) -> list[Selection]:
    """Answer all pending prompts on one photo.

    A positive prompt on an object that another prompt of its kind clicked already grows that object;
    elsewhere it adds one. A negative prompt keeps out the sibling it lies on, tells the verification that
    such objects do not belong, and cuts a clicked object back. No object is selected twice.

    Args:
        scene: an encoded photo (`toolkit.systems.Scene`); without `select_similar`, siblings are not looked
            for.
        prompts: in the order they were made.
        rejected: clicks on objects that were kept out of this selection before.

    Returns:
        One selection for each clicked object; empty where nothing was found.
    """
    finds_siblings = hasattr(scene, "select_similar")
    first = len(prompts) == 1 and not rejected and prompts[0].click.positive
    if finds_siblings and first and prompts[0].mode == "all":
        return _one_click(scene, prompts[0])
    negatives = [p.click for p in prompts if not p.click.positive]
    unwanted = [*negatives, *(replace(click, positive=False) for click in rejected)]
    selections: list[Selection] = []
    for prompt in prompts:
        if prompt.click.positive:
            _add(scene, selections, prompt)
    for selection in selections:
        _settle(scene, selection, negatives)
        if selection.mode == "all" and not finds_siblings:
            selection.note = NO_SIBLINGS
        elif selection.mode == "all":
            selection.members += _siblings(scene, selection, unwanted)
    return _without_repeats([s for s in selections if s.members])


def _one_click(scene: Any, prompt: Prompt) -> list[Selection]:
    """The common case, which needs no more than one call: a first click on an object."""
    found: list[Instance] = scene.select_similar(prompt.click)
    if not found:
        return []
    head, *others = found
    members = [head, *(one for one in others if instance_iou(one, head) < SAME_OBJECT)]
    return _without_repeats([Selection(prompt.label, prompt.mode, [prompt.click], members)])


def _add(scene: Any, selections: list[Selection], prompt: Prompt) -> None:
    """Give a positive prompt to the object it grows, or start a new one."""
    alone: Instance | None = scene.segment([prompt.click])
    alike = [s for s in selections if (s.label, s.mode) == (prompt.label, prompt.mode)]
    for selection in alike:
        if _same_object(selection, prompt.click, alone):
            selection.clicks.append(prompt.click)
            return
    if alone is not None:
        selections.append(Selection(prompt.label, prompt.mode, [prompt.click], [alone]))
    elif alike:
        # Nothing stands there by itself, so it is a part that the last object misses.
        alike[-1].clicks.append(prompt.click)


def _same_object(selection: Selection, click: Click, alone: Instance | None) -> bool:
    head = selection.members[0]
    if holds(head.mask, click):
        return True
    if alone is None:
        return False
    return any(holds(alone.mask, own) for own in selection.clicks) or instance_iou(head, alone) >= SAME_OBJECT


def _settle(scene: Any, selection: Selection, negatives: Sequence[Click]) -> None:
    """Segment a clicked object again where more than one click speaks of it."""
    first = selection.members[0]
    inside = [click for click in negatives if holds(first.mask, click)]
    if len(selection.clicks) == 1 and not inside:
        return
    joint = scene.segment([*selection.clicks, *inside]) or first
    mask = joint.mask
    for click in inside:
        if holds(mask, click):
            mask = _cut_back(scene, mask, click, selection.clicks)
    selection.members = [replace(joint, mask=mask, box=mask_box(mask))]


def _cut_back(scene: Any, mask: np.ndarray, click: Click, clicks: Sequence[Click]) -> np.ndarray:
    """Take away the object under a negative click that segmenting left in, unless it is the clicked one."""
    other = scene.segment([replace(click, positive=True)])
    if other is None or any(holds(other.mask, own) for own in clicks):
        return mask
    return mask & ~other.mask


def _siblings(scene: Any, selection: Selection, unwanted: Sequence[Click]) -> list[Instance]:
    own = selection.members[0]
    click = selection.clicks[0]
    against = [negative for negative in unwanted if not holds(own.mask, negative)]
    similar = scene.select_similar
    found: list[Instance] = similar(click, negatives=against) if against else similar(click)
    return [
        one
        for one in found[1:]
        if not any(holds(one.mask, negative) for negative in unwanted)
        and instance_iou(one, own) < SAME_OBJECT
    ]


def _without_repeats(selections: Sequence[Selection]) -> list[Selection]:
    """Drop what an earlier selection holds already; clicked objects come before siblings."""
    kept: list[tuple[Instance, Selection]] = []
    heads = [selection.members[0] for selection in selections]
    result = []
    for selection, head in zip(selections, heads, strict=True):
        others = [one for one in heads if one is not head]
        siblings = [
            one
            for one in selection.members[1:]
            if not any(instance_iou(one, other) >= SAME_OBJECT for other in [*others, *(k for k, _ in kept)])
        ]
        selection.members = [head, *siblings]
        kept += [(one, selection) for one in selection.members]
        result.append(selection)
    return result


def holds(mask: np.ndarray, click: Click) -> bool:
    """Whether a click lies on a mask [H, W]."""
    return click.inside(*mask.shape) and bool(mask[click.row, click.column])


def instance_iou(a: Instance, b: Instance) -> float:
    """Intersection over union of two objects of one photo, computed inside their boxes."""
    left, top = max(a.box[0], b.box[0]), max(a.box[1], b.box[1])
    right, bottom = min(a.box[2], b.box[2]), min(a.box[3], b.box[3])
    if right <= left or bottom <= top:
        return 0.0
    common = np.s_[int(top) : int(bottom), int(left) : int(right)]
    both = int(np.count_nonzero(a.mask[common] & b.mask[common]))
    union = _area(a) + _area(b) - both
    return both / union if union else 0.0


def _area(one: Instance) -> int:
    left, top, right, bottom = (int(side) for side in one.box)
    return int(np.count_nonzero(one.mask[top:bottom, left:right]))
