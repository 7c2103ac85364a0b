"""One encoded copy of a photo, at one scale, and what the networks say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.chooser import ChooserModel
from models.cpn import ProposalModel
from models.cpn.heatmap import find_peaks
from models.cpn.model import ProposalMemory
from models.found_memory import FoundMemory
from models.ids import Accepted, Proposal, SelectionConfig, SelectionSteps, select_iteratively
from models.judge import JudgeModel
from models.one_click.finder import EncodedImage, ObjectFinder
from models.one_click.found_object import FoundObject
from models.pvm import VerificationModel
from models.refiner import RefinerModel
from toolkit.errors import UnsupportedSystem

Point = tuple[float, float]


@dataclass(frozen=True)
class SelectionModels:
    """The networks of a selector.

    CPN and PVM may be missing (then only single objects are selected), and so may the refiner (then masks
    stay as 1C-DSN has them), the chooser (then what agrees best is chosen) and the judge (then all that IDS
    selects is kept).
    """

    finder: ObjectFinder
    proposals: ProposalModel | None
    verification: VerificationModel | None
    config: SelectionConfig = field(default_factory=SelectionConfig)
    refiner: RefinerModel | None = None
    chooser: ChooserModel | None = None
    judge: JudgeModel | None = None

    @property
    def read_stages(self) -> bool:
        """Whether CPN or PVM reads the backbone's own maps."""
        readers = (self.proposals, self.verification)
        return any(network is not None and network.config.stage_channels for network in readers)


class PhotoView:
    """A photo as the networks see it; all points are in pixels of their input.

    Attributes:
        scale: Pixels of the network's input per pixel of the photo.
        encoded: What clicks do not change.
    """

    def __init__(self, models: SelectionModels, image: Tensor, encoded: EncodedImage, scale: float) -> None:
        self._models = models
        self._image = image  # [3, H', W'] uint8
        self.encoded = encoded
        self.scale = scale
        self._found = FoundMemory()

    @property
    def nbytes(self) -> int:
        """Memory that the view holds, in bytes; with what CPN remembers of it, once it does."""
        remembered: ProposalMemory | None = self.__dict__.get("_memory")  # where cached_property keeps it
        own = self.encoded.nbytes + self._image.nelement() + self._found.nbytes
        return own if remembered is None else own + remembered.nbytes

    @property
    def image(self) -> Tensor:
        """The networks' input, uint8 ``[3, H', W']``."""
        return self._image

    def find(
        self, groups: Sequence[Sequence[Point]], avoid: Sequence[Point] = ()
    ) -> list[FoundObject | None]:
        """The object under each group of clicks, none holding a point to avoid; None where there is none."""
        if avoid or any(len(group) != 1 for group in groups):
            return self._models.finder.find(self.encoded, groups, avoid)
        points = [group[0] for group in groups]
        known = {point: self._found.get(point) for point in points}
        fresh = [point for point, one in known.items() if one is None]
        answers = dict(zip(fresh, self._models.finder.find(self.encoded, [[p] for p in fresh]), strict=True))
        self._found.keep(fresh, answers.values())
        answers |= {point: one.found for point, one in known.items() if one is not None}
        return [answers[point] for point in points]

    def select(
        self, initial: FoundObject, avoid: Sequence[Point], config: SelectionConfig
    ) -> list[Accepted[FoundObject]]:
        """The clicked object and its siblings (IDS); only itself without a click proposal network."""
        if self._models.proposals is None:
            return [Accepted(initial, 1.0)]
        unlike = [f for f in self.find([[point] for point in avoid]) if f is not None]
        steps = SelectionSteps(
            propose=lambda exemplars: self._propose(exemplars, config),
            segment=lambda points: self.find([[point] for point in points], avoid),
            similarity=self.similarity_to(initial, unlike),
            holds=lambda item, x, y: item.value_at(x, y) > 0,
            overlap=overlap_of_smaller,
            score=lambda item: item.score,
        )
        return select_iteratively(initial, steps, config)

    def prepare(self) -> None:
        """Compute now what the first selection would otherwise: CPN's memory."""
        if self._models.proposals is not None:
            _ = self._memory

    @cached_property
    def _memory(self) -> ProposalMemory:
        if self._models.proposals is None:
            raise UnsupportedSystem(
                "these weights hold no click proposal network (folder cpn), so similar objects can't be found"
            )
        with torch.no_grad():
            return self._models.proposals.remember(*self.encoded.as_batch())[0]

    @torch.no_grad()
    def heatmap(self, exemplars: Sequence[FoundObject]) -> Tensor:
        """CPN's confidence ``[H / 4, W / 4]`` that a cell is the centre of an object like the exemplars."""
        memory = self._memory
        if self._models.proposals is None:
            raise UnsupportedSystem("these weights hold no click proposal network (folder cpn)")
        return self._models.proposals.heatmap(memory, *self._coverage(exemplars)).sigmoid()

    def _propose(self, exemplars: Sequence[FoundObject], config: SelectionConfig) -> list[Proposal]:
        cells = config.window if config.rounds > 1 else config.single_window
        return self._inside(find_peaks(self.heatmap(exemplars), cells, config.confidence))

    def propose(self, exemplar: FoundObject, window: int, limit: int) -> list[Proposal]:
        """CPN's clicks for one exemplar, however unsure, best first; ``window`` as for `find_peaks`."""
        return self._inside(find_peaks(self.heatmap([exemplar]), window, 0.0))[:limit]

    def _inside(self, peaks: Sequence[Proposal]) -> list[Proposal]:
        return [p for p in peaks if p.x < self.encoded.width and p.y < self.encoded.height]

    def _coverage(self, items: Sequence[FoundObject]) -> tuple[Tensor, Tensor]:
        """Soft masks ``[N, H / 4, W / 4]`` and boxes ``[N, 4]`` of found objects."""
        height, width = self.encoded.mask_features.shape[-2:]
        masks = np.stack([item.coverage(height, width) for item in items])
        device = self.encoded.mask_features.device
        return torch.from_numpy(masks).to(device), torch.tensor([item.box for item in items], device=device)

    @torch.no_grad()
    def embed(self, items: Sequence[FoundObject]) -> Tensor | None:
        """PVM's embeddings ``[N, E]``; None without a verification network."""
        network = self._models.verification
        if network is None:
            return None
        embedded = self._found.embeddings(items)
        fresh = [item for item, one in zip(items, embedded, strict=True) if one is None]
        if fresh:
            masks, boxes = self._coverage(fresh)
            image, feature, stages = self._image.float(), self.encoded.pyramid[0], self.encoded.stages
            computed = network(network.gather(image, feature, masks, boxes, stages))
            self._found.keep_embeddings(fresh, computed)
            rest = iter(computed)
            embedded = [next(rest) if one is None else one for one in embedded]
        return torch.stack([one for one in embedded if one is not None])

    def similarity_to(
        self, initial: FoundObject, unlike: Sequence[FoundObject]
    ) -> Callable[[Sequence[FoundObject]], list[float]]:
        """What judges, in any number of rounds, how like the clicked object some objects are.

        Args:
            initial: The clicked object; embedded in the first round only.
            unlike: Objects that must not be selected.

        Returns:
            From objects to similarities, 0–1; zero for what is more like an ``unlike`` one.
        """
        targets = [initial, *unlike]
        remembered: list[Tensor] = []

        @torch.no_grad()
        def similarity(items: Sequence[FoundObject]) -> list[float]:
            network = self._models.verification
            embedded = self.embed(items if remembered else [*targets, *items]) if items else None
            if network is None or embedded is None:
                return [1.0] * len(items)
            if not remembered:
                remembered.append(embedded[: len(targets)])
                embedded = embedded[len(targets) :]
            alike = network.similarity(remembered[0][:1], embedded)
            if unlike:
                nearer = alike > network.similarity(remembered[0][1:], embedded)
                alike = alike.where(nearer, alike.new_zeros(()))
            return alike.tolist()

        return similarity

    @torch.no_grad()
    def similarities(self, items: Sequence[FoundObject]) -> np.ndarray:
        """Similarity of every pair, float ``[N, N]``; the identity without a verification network."""
        network = self._models.verification
        embedded = self.embed(items) if items else None
        if network is None or embedded is None:
            return np.eye(len(items))
        distance = torch.cdist(embedded, embedded)
        return network.similarity_logits(distance).sigmoid().cpu().numpy()


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
