"""From an encoded image and clicks to masked objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from models.one_click.candidates import (
    Candidates,
    FreeLocations,
    find_candidates,
    free_locations,
    no_locations,
)
from models.one_click.dynamic_masks import MASK_STRIDE, SIZES_OF_INTEREST, MaskDrawer, drawable
from models.one_click.found_object import FoundObject
from models.one_click.full_pass import candidates_of_pass, clicked_pass
from models.one_click.model import OneClickModel
from models.one_click.windows import ClickedImage
from models.pyramid import STRIDES

# A mask is computed inside its predicted box, grown by this part of its sides and at least so many cells of
# stride 4, since the box is a guess.
BOX_GROWTH = 0.2
BOX_MARGIN = 2
# Candidates that score below this part of the best one have no say in what a click means.
LEAST_SHARE = 0.4


@dataclass(frozen=True)
class EncodedImage:
    """All that clicks do not change.

    Attributes:
        pyramid: P2–P5, ``[C, H / stride, W / stride]``.
        mask_features: ``[8, H / 4, W / 4]``.
        free: Locations that score without a click, where those take part; see :class:`ObjectFinder`.
        height: Of the network's input, pixels, without padding.
        width: The same.
        first: Of each level what the towers' first layers make of it without clicks, ``[2 C', H / stride,
            W / stride]``; None where each click computes its own part.
        stages: C3 and C4, the backbone's own maps at strides 8 and 16; empty where nothing reads them.
    """

    pyramid: list[Tensor]
    mask_features: Tensor
    free: list[FreeLocations]
    height: int
    width: int
    first: Sequence[Tensor | None] = (None,) * len(STRIDES)
    stages: Sequence[Tensor] = ()

    @cached_property
    def drawable(self) -> np.ndarray:
        """The mask features as masks are drawn of them, ``[11, H / 4, W / 4]``; see :func:`drawable`."""
        return drawable(self.mask_features)

    def as_batch(self) -> tuple[list[Tensor], list[Tensor]]:
        """Pyramid and stages as a batch of one image."""
        return [level[None] for level in self.pyramid], [stage[None] for stage in self.stages]

    @property
    def nbytes(self) -> int:
        """Memory that the tensors hold."""
        known = [one for one in self.first if one is not None]
        tensors = [*self.pyramid, *self.stages, self.mask_features, *known]
        for level in self.free:
            tensors += [level.rows, level.columns, level.scores, level.boxes, level.kernels]
        return self.drawable.nbytes + sum(t.element_size() * t.nelement() for t in tensors)


# An image, and for each object its clicks (x, y) in pixels of the network's input.
Asked = tuple[EncodedImage, Sequence[Sequence[tuple[float, float]]]]


class ObjectFinder:
    """Runs a 1C-DSN: the image once, then any clicks on windows.

    Networks whose heads are not local (GroupNorm, coordinates, clicks in the mask branch) give such answers
    from a full pass of the heads for each group of clicks.

    Args:
        model: The network, in evaluation mode.
        everywhere: Whether boxes of locations beyond the reach of every click take part, as in a full pass.
            They would cost half of what encoding does, and a trained network that sees clicks prefers
            none of them (448 clicks in the middle of objects: the same answers). By default only networks
            that see no clicks look everywhere.
    """

    def __init__(self, model: OneClickModel, everywhere: bool | None = None) -> None:
        self.model = model
        wanted = not model.config.click_embedding if everywhere is None else everywhere
        self.everywhere = wanted and model.config.heads_are_local

    @torch.no_grad()
    def encode(self, image: Tensor, height: int, width: int, stages: bool = False) -> EncodedImage:
        """Encode ``[1, 3, H, W]`` RGB 0–255, padded to multiples of 32 from ``height`` × ``width`` pixels.

        Args:
            image: The picture.
            height: Without padding.
            width: The same.
            stages: Whether to keep :attr:`EncodedImage.stages`.
        """
        pyramid, maps = self.model.encode_with_stages(image)
        features = self.model.mask_features(pyramid)
        encoded = self.remember([p[0] for p in pyramid], features[0], height, width)
        return replace(encoded, stages=[one[0].float() for one in maps]) if stages else encoded

    @torch.no_grad()
    def remember(self, pyramid: Sequence[Tensor], features: Tensor, height: int, width: int) -> EncodedImage:
        """The same from a pyramid (``[C, H, W]`` a level) and mask features that are there already."""
        heads = self.model.heads
        kept = [p.float() for p in pyramid]
        if self.everywhere:
            free = [free_locations(heads, heads(p[None], None, level), level) for level, p in enumerate(kept)]
        else:
            free = [no_locations(heads, features.device) for _ in kept]
        return EncodedImage(kept, features.float(), free, height, width, self.first_layers(kept))

    @torch.no_grad()
    def first_layers(self, pyramid: Sequence[Tensor]) -> list[Tensor | None]:
        """See :attr:`EncodedImage.first`: those of the coarse levels, which are small.

        P2's would cost an image three times as much as theirs together, and each click gain a third as much.
        """
        local = self.model.config.heads_are_local
        return [
            self.model.heads.first_layers(feature[None])[0] if level and local else None
            for level, feature in enumerate(pyramid)
        ]

    @torch.no_grad()
    def encode_batch(self, image: Tensor) -> list[EncodedImage]:
        """Encode training pictures ``[B, 3, S, S]``, without click-free locations, with the stages."""
        pyramid, maps = self.model.encode_with_stages(image)
        features = self.model.mask_features(pyramid)
        height, width = image.shape[-2:]
        empty = [no_locations(self.model.heads, image.device) for _ in pyramid]
        return [
            EncodedImage(
                [p[i].float() for p in pyramid],
                features[i].float(),
                empty,
                height,
                width,
                stages=[one[i].float() for one in maps],
            )
            for i in range(len(image))
        ]

    @torch.inference_mode()
    def find(
        self,
        encoded: EncodedImage,
        groups: Sequence[Sequence[tuple[float, float]]],
        avoid: Sequence[tuple[float, float]] = (),
    ) -> list[FoundObject | None]:
        """The object under each group of clicks; None where there is none.

        A candidate's box must hold a click, then its mask must hold as many clicks as any candidate's does
        and none of those to avoid; then the highest score wins (SimpSON, section 3.1: the box filter).

        Args:
            encoded: The image.
            groups: For each object, its clicks (x, y) in pixels of the network's input.
            avoid: Clicks that no mask may hold.
        """
        found = self._candidates([(encoded, groups)])[0]
        return [
            _first_that_fits(own, candidates, group, avoid)
            for group, (own, candidates) in zip(groups, found, strict=True)
        ]

    @torch.inference_mode()
    def candidates(
        self, encoded: EncodedImage, groups: Sequence[Sequence[tuple[float, float]]]
    ) -> list[list[FoundObject]]:
        """All that each group of clicks may mean: masks that hold a click of it, the best score first.

        Args:
            encoded: The image.
            groups: As for :meth:`find`.
        """
        return self.candidates_in([(encoded, groups)])[0]

    @torch.inference_mode()
    def candidates_in(self, asked: Sequence[Asked]) -> list[list[list[FoundObject]]]:
        """The same in several images, such as the copies of one photo, at once.

        Args:
            asked: Images, and for each the groups as for :meth:`find`.

        Returns:
            For each image what :meth:`candidates` gives.
        """
        return [
            [_all_that_fit(own, one, group) for group, (own, one) in zip(groups, found, strict=True)]
            for (_, groups), found in zip(asked, self._candidates(asked), strict=True)
        ]

    def _candidates(self, asked: Sequence[Asked]) -> list[list[tuple[EncodedImage, Candidates]]]:
        """For each image and group its boxes, and the image as that group's masks see it."""
        if not self.model.config.heads_are_local:
            return [self._candidates_of_passes(encoded, groups) for encoded, groups in asked]
        clicked = [ClickedImage(encoded.pyramid, groups, encoded.first) for encoded, groups in asked]
        found = find_candidates(self.model.heads, clicked, [encoded.free for encoded, _ in asked])
        return [[(encoded, one) for one in own] for (encoded, _), own in zip(asked, found, strict=True)]

    def _candidates_of_passes(
        self, encoded: EncodedImage, groups: Sequence[Sequence[tuple[float, float]]]
    ) -> list[tuple[EncodedImage, Candidates]]:
        results: list[tuple[EncodedImage, Candidates]] = []
        output = None
        for group in groups:
            if output is None or self.model.config.click_embedding:  # else all passes are the same
                output = clicked_pass(self.model, encoded.pyramid, group, encoded.mask_features)
            own = replace(encoded, mask_features=output.mask_features[0])
            results.append((own, candidates_of_pass(self.model, output, group)))
        return results


def _all_that_fit(
    encoded: EncodedImage, candidates: Candidates, clicks: Sequence[tuple[float, float]]
) -> list[FoundObject]:
    if not len(candidates.scores):
        return []
    count = int((candidates.scores >= LEAST_SHARE * candidates.scores[0]).sum())
    return [
        item
        for item in _masked(encoded, candidates.first(count), clicks)
        if any(item.value_at(x, y) > 0 for x, y in clicks)
    ]


def _first_that_fits(
    encoded: EncodedImage,
    candidates: Candidates,
    clicks: Sequence[tuple[float, float]],
    avoid: Sequence[tuple[float, float]],
) -> FoundObject | None:
    best, most = None, 0
    for item in _masked(encoded, candidates, clicks):
        if any(item.value_at(x, y) > 0 for x, y in avoid):
            continue
        held = sum(item.value_at(x, y) > 0 for x, y in clicks)
        if held > most:
            best, most = item, held
        if most == len(clicks):
            break
    return best


def _masked(
    encoded: EncodedImage, candidates: Candidates, clicks: Sequence[tuple[float, float]]
) -> Iterator[FoundObject]:
    """The candidates' masks, each drawn when it is asked for."""
    height, width = encoded.mask_features.shape[-2:]
    levels = candidates.levels.tolist()
    kernels, points = (part.cpu().numpy() for part in (candidates.kernels, candidates.points))
    sizes = np.array([SIZES_OF_INTEREST[level] for level in levels], kernels.dtype)
    drawer = MaskDrawer.of(kernels, points.astype(kernels.dtype), sizes)
    own = tuple((float(x), float(y)) for x, y in clicks)
    boxes, scores = candidates.boxes.tolist(), candidates.scores.tolist()
    for index, ((x1, y1, x2, y2), score) in enumerate(zip(boxes, scores, strict=True)):
        grow_x, grow_y = BOX_GROWTH * (x2 - x1), BOX_GROWTH * (y2 - y1)
        left = min(max(int((x1 - grow_x) // MASK_STRIDE) - BOX_MARGIN, 0), width - 1)
        top = min(max(int((y1 - grow_y) // MASK_STRIDE) - BOX_MARGIN, 0), height - 1)
        right = max(min(int((x2 + grow_x) // MASK_STRIDE) + 1 + BOX_MARGIN, width), left + 1)
        bottom = max(min(int((y2 + grow_y) // MASK_STRIDE) + 1 + BOX_MARGIN, height), top + 1)
        logits = drawer.draw(index, encoded.drawable[:, top:bottom, left:right])
        yield FoundObject(logits, top, left, score, own)
