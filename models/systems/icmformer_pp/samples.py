"""Training pictures with an exemplar and the objects of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from models.data.canvas import Canvas, CanvasObject
from models.data.one_click_samples import clickable
from models.roi_align import boxes_of_masks
from models.systems.clicking.guidance import ABSENT
from models.systems.clicking.points import PointSampling, sample_points
from models.systems.clicking.samples import ClickBatch, ClickSample, collate, make_sample
from models.systems.icmformer_pp.exemplar import PSEUDO, ExemplarInput
from toolkit.clicks import Click
from toolkit.data.mois_clicks import ClickRules, sample_exemplar_clicks
from toolkit.exemplars import part_negatives


@dataclass(frozen=True)
class ExemplarSample:
    """A picture, what is to be recalled in it, and the exemplar.

    Attributes:
        picture: Its mask is of the objects to recall.
        mask: bool ``[S, S]``, the exemplar; empty in a picture that goes without.
        points: float32 ``[P, 3]``, the exemplar's clicks; see :class:`ExemplarInput`.
    """

    picture: ClickSample
    mask: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class ExemplarBatch(ClickBatch):
    """A batch with its exemplars."""

    exemplar: ExemplarInput

    def to(self, device: torch.device, non_blocking: bool = False) -> ExemplarBatch:
        """The same on another device."""
        moved = super().to(device, non_blocking)
        return ExemplarBatch(**vars(moved), exemplar=self.exemplar.to(device, non_blocking))


def make_exemplar_sample(
    canvas: Canvas,
    rng: np.random.Generator,
    sampling: PointSampling,
    rules: ClickRules,
    recalls: Literal["all", "one"],
    probability: float,
) -> ExemplarSample:
    """Choose an exemplar in a picture, and what of its kind is to be recalled.

    Args:
        canvas: The picture.
        rng: Source of randomness.
        sampling: Of the points on what is to be recalled.
        rules: Of the exemplar's clicks.
        recalls: All others of its group, as one mask, or one of them.
        probability: Of an exemplar where the picture has a group; else one object is to be selected without.
    """
    members: dict[int, list[CanvasObject]] = {}
    for item in clickable(canvas):
        members.setdefault(item.group, []).append(item)
    groups = [own for own in members.values() if len(own) >= 2]
    side = canvas.image.shape[0]
    if not groups or rng.random() >= probability:
        nothing = np.zeros((side, side), bool)
        return ExemplarSample(make_sample(canvas, rng, sampling), nothing, points_array([], [], rules.most))
    own = groups[int(rng.integers(len(groups)))]
    order = rng.permutation(len(own))
    exemplar, one = own[order[0]], own[order[1]]
    siblings = [item for item in canvas.objects if item.group == exemplar.group and item is not exemplar]
    wanted = siblings if recalls == "all" else [one]
    exemplar_mask = np.ascontiguousarray(exemplar.mask)
    target = np.logical_or.reduce([item.mask for item in wanted]) & ~exemplar_mask
    others = [item for item in canvas.objects if all(item is not one for one in [exemplar, *wanted])]
    beside = [mask for item in others if (mask := item.mask & ~target & ~exemplar_mask).any()]
    clicks = sample_exemplar_clicks(
        exemplar_mask, [item.mask for item in canvas.objects if item is not exemplar], rules, rng
    )
    kept, pseudo = part_negatives(clicks, [item.mask for item in siblings])
    picture = ClickSample(
        image=np.ascontiguousarray(canvas.image.transpose(2, 0, 1)),
        mask=target,
        points=sample_points(target, beside, rng, sampling),
        others=np.zeros((0, side, side), bool),
        group=exemplar.group,
        groups=(),
    )
    return ExemplarSample(picture, exemplar_mask, points_array(kept, pseudo, rules.most))


def points_array(clicks: Sequence[Click], pseudo: Sequence[Click], most: int) -> np.ndarray:
    """An exemplar's clicks as float32 ``[most, 3]``, filled up with rows that stand for no point."""
    rows = [(click.x, click.y, float(click.positive)) for click in clicks]
    rows += [(click.x, click.y, PSEUDO) for click in pseudo]
    points = np.full((max(most, len(rows), 1), 3), ABSENT, np.float32)
    points[: len(rows)] = np.array(rows, np.float32).reshape(-1, 3)
    return points


def collate_exemplars(samples: Sequence[ExemplarSample]) -> ExemplarBatch:
    """Stack pictures of one size with their exemplars."""
    pictures = collate([sample.picture for sample in samples])
    masks = torch.from_numpy(np.stack([sample.mask for sample in samples]))
    return ExemplarBatch(
        **vars(pictures),
        exemplar=ExemplarInput(
            mask=masks[:, None].float(),
            points=torch.from_numpy(np.stack([sample.points for sample in samples])),
            boxes=boxes_of_masks(masks),
        ),
    )
