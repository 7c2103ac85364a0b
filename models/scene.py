"""A photo, encoded once; every click after that runs the light parts only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.cpn import ProposalModel
from models.cpn.heatmap import find_peaks
from models.cpn.model import ProposalMemory
from models.ids import Proposal, SelectionConfig, SelectionSteps, select_iteratively
from models.one_click.finder import EncodedImage, FoundObject, ObjectFinder
from models.pvm import VerificationModel
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.masks import mask_box
from toolkit.selection import Instance


@dataclass(frozen=True)
class SelectionModels:
    """The networks of a selector; CPN and PVM may be missing (then only single objects are selected)."""

    finder: ObjectFinder
    proposals: ProposalModel | None
    verification: VerificationModel | None
    config: SelectionConfig = field(default_factory=SelectionConfig)


class PhotoScene:
    """An encoded photo; see :class:`toolkit.systems.Scene`.

    A scene is never changed by a click, so threads may share one.

    Attributes:
        height: Of the photo, pixels.
        width: Of the photo, pixels.
    """

    def __init__(
        self,
        models: SelectionModels,
        image: Tensor,
        encoded: EncodedImage,
        size: tuple[int, int],
        scale: float,
    ):
        self._models = models
        self._image = image  # [3, H', W'] uint8, the network's input
        self._encoded = encoded
        self.height, self.width = size
        self.scale = scale  # network pixels per photo pixel

    @property
    def nbytes(self) -> int:
        """Memory that the scene holds, in bytes."""
        return self._encoded.nbytes + self._image.nelement()

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        """The object under some clicks; negative ones say what it must not hold. None: nothing found.

        Raises:
            InputError: No click is positive, or one lies outside the photo.
        """
        positive = [self._point(c) for c in clicks if c.positive]
        negative = [self._point(c) for c in clicks if not c.positive]
        if not positive:
            raise InputError("clicks: at least one must be positive, on the object to select")
        found = self._models.finder.find(self._encoded, [positive], negative)[0]
        return None if found is None else self._instance(found, next(c for c in clicks if c.positive))

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        """The object under each click, all in one batch; None where nothing was found."""
        found = self._models.finder.find(self._encoded, [[self._point(c)] for c in clicks])
        return [None if f is None else self._instance(f, c) for f, c in zip(found, clicks, strict=True)]

    def select_similar(
        self, click: Click, negatives: Sequence[Click] = (), config: SelectionConfig | None = None
    ) -> list[Instance]:
        """The clicked object first, then all that are like it; empty when nothing is under the click.

        Args:
            click: On one of the objects.
            negatives: Clicks on objects that must not be selected, and that count as unlike.
            config: Parameters of the selection; the selector's own by default.
        """
        initial = self._models.finder.find(self._encoded, [[self._point(click)]])[0]
        if initial is None:
            return []
        if self._models.proposals is None:
            clicked = self._instance(initial, click, group=0)
            return [] if clicked is None else [clicked]
        avoid = [self._point(c) for c in negatives]
        config = config or self._models.config
        accepted = select_iteratively(initial, self._steps(initial, avoid, config), config)
        instances = []
        for index, item in enumerate(accepted):
            own = click if index == 0 else self._click(item.item)
            score = item.item.score if index == 0 else item.confidence
            instances.append(self._instance(item.item, own, group=0, score=score))
        if instances[0] is None:
            return []
        return [i for i in instances if i is not None]

    def _steps(
        self, initial: FoundObject, avoid: Sequence[tuple[float, float]], config: SelectionConfig
    ) -> SelectionSteps[FoundObject]:
        finder, encoded = self._models.finder, self._encoded
        unlike = [f for f in finder.find(encoded, [[point] for point in avoid]) if f is not None]

        def segment(points: Sequence[tuple[float, float]]) -> list[FoundObject | None]:
            return finder.find(encoded, [[point] for point in points], avoid)

        def similarity(items: Sequence[FoundObject]) -> list[float]:
            return self._similarity(initial, unlike, items)

        return SelectionSteps(
            propose=lambda exemplars: self._propose_clicks(exemplars, config),
            segment=segment,
            similarity=similarity,
            holds=lambda item, x, y: item.value_at(x, y) > 0,
            overlap=overlap_of_smaller,
            score=lambda item: item.score,
        )

    @cached_property
    def _memory(self) -> ProposalMemory:
        if self._models.proposals is None:
            raise InputError(
                "this selector holds no click proposal network, so it can't find similar objects"
            )
        with torch.no_grad():
            return self._models.proposals.remember([p[None] for p in self._encoded.pyramid])[0]

    def _coverage(self, items: Sequence[FoundObject]) -> tuple[Tensor, Tensor]:
        """Soft masks ``[N, H / 4, W / 4]`` and boxes ``[N, 4]`` of found objects."""
        height, width = self._encoded.mask_features.shape[-2:]
        masks = np.stack([item.coverage(height, width) for item in items])
        device = self._encoded.mask_features.device
        return torch.from_numpy(masks).to(device), torch.tensor([item.box for item in items], device=device)

    @torch.no_grad()
    def heatmap(self, exemplars: Sequence[FoundObject]) -> Tensor:
        """CPN's confidence ``[H / 4, W / 4]`` that a cell is the centre of an object like the exemplars."""
        if self._models.proposals is None:
            raise InputError(
                "this selector holds no click proposal network, so it can't find similar objects"
            )
        masks, boxes = self._coverage(exemplars)
        return self._models.proposals.heatmap(self._memory, masks, boxes).sigmoid()

    def _propose_clicks(self, exemplars: Sequence[FoundObject], config: SelectionConfig) -> list[Proposal]:
        cells = config.window if config.rounds > 1 else config.single_window
        heatmap = self.heatmap(exemplars)
        peaks = find_peaks(heatmap, cells, config.confidence)
        return [p for p in peaks if p.x < self._encoded.width and p.y < self._encoded.height]

    @torch.no_grad()
    def _similarity(
        self, initial: FoundObject, unlike: Sequence[FoundObject], items: Sequence[FoundObject]
    ) -> list[float]:
        """Similarity to the clicked object; zero for what is more like one of the ``unlike``."""
        if self._models.verification is None or not items:
            return [1.0] * len(items)
        masks, boxes = self._coverage([initial, *unlike, *items])
        network = self._models.verification
        inputs = network.gather(self._image.float(), self._encoded.pyramid[0], masks, boxes)
        embedded = network(inputs)  # [1 + U + N, E]
        sources = embedded[1 + len(unlike) :]
        alike = network.similarity(embedded[:1], sources)
        if unlike:
            nearer = alike > network.similarity(embedded[1 : 1 + len(unlike)], sources)
            alike = alike.where(nearer, alike.new_zeros(()))
        return alike.tolist()

    def _point(self, click: Click) -> tuple[float, float]:
        if not (0 <= click.x < self.width and 0 <= click.y < self.height):
            raise InputError(
                f"click {click.x:g},{click.y:g} lies outside the photo; "
                f"it is {self.width} × {self.height} pixels, x comes first"
            )
        return click.x * self.scale, click.y * self.scale

    def _click(self, found: FoundObject) -> Click:
        x, y = found.clicks[0]
        return Click(min(x / self.scale, self.width - 1), min(y / self.scale, self.height - 1))

    def _instance(
        self, found: FoundObject, click: Click, group: int | None = None, score: float | None = None
    ) -> Instance | None:
        """None where the mask is so small that it holds no pixel's centre."""
        mask = found.mask(self.height, self.width, self.scale)
        if not mask.any():
            return None
        return Instance(mask, mask_box(mask), found.score if score is None else score, click, group)


def overlap_of_smaller(a: FoundObject, b: FoundObject) -> float:
    """The part of the smaller of two masks that lies in the other, 0–1, at stride 4."""
    mask_a, mask_b = a.logits > 0, b.logits > 0
    top, left = max(a.top, b.top), max(a.left, b.left)
    bottom = min(a.top + mask_a.shape[0], b.top + mask_b.shape[0])
    right = min(a.left + mask_a.shape[1], b.left + mask_b.shape[1])
    smaller = min(mask_a.sum(), mask_b.sum())
    if bottom <= top or right <= left or smaller == 0:
        return 0.0
    common = (
        mask_a[top - a.top : bottom - a.top, left - a.left : right - a.left]
        & mask_b[top - b.top : bottom - b.top, left - b.left : right - b.left]
    )
    return float(common.sum() / smaller)
