"""How clicks become masks: crops, sizes, one pass of the network for each click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from models.systems.clicking.crops import Crop, input_shape, next_crop, resample, scaled_clicks, zoomed_crop
from models.systems.clicking.network import ClickNetwork, logits_of
from models.systems.clicking.state import ClickState, State
from toolkit.clicks import Click

PADDING_MULTIPLE = 32  # the deepest stride of the backbones
BATCH = 8  # first clicks that share a pass

StateT = TypeVar("StateT", bound=State)
NetworkT = TypeVar("NetworkT", bound=ClickNetwork)


class Stepper(Protocol[StateT]):
    """A system's work on a photo; holds nothing of the photo, so threads may share it."""

    def first(self, image: np.ndarray, clicks: Sequence[Click]) -> list[StateT]:
        """The state after each of several first clicks, which are of different objects.

        Args:
            image: uint8 ``[H, W, 3]`` RGB.
            clicks: Positive ones.
        """
        ...

    def following(self, image: np.ndarray, clicks: Sequence[Click], state: StateT) -> StateT:
        """The state after a later click.

        Args:
            image: uint8 ``[H, W, 3]`` RGB.
            clicks: All so far, the newest last.
            state: After the click before.
        """
        ...


@dataclass(frozen=True)
class NetworkInput:
    """What a network sees of a photo.

    Attributes:
        crop: The part of the photo.
        shape: Height and width that it has in the input; what lies beyond is padding.
        image: ``[B, 3, H, W]`` uint8 RGB.
        points: float ``[B, P, 3]``.
        previous: float ``[B, 1, H, W]`` probabilities.
        clicks: So many have been made.
    """

    crop: Crop
    shape: tuple[int, int]
    image: Tensor
    points: Tensor
    previous: Tensor
    clicks: int


class ZoomStepper(Generic[NetworkT]):
    """The first click looks at the whole photo, later ones at a crop around the last mask.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: NetworkT) -> None:
        self.network = network

    @torch.no_grad()
    def first(self, image: np.ndarray, clicks: Sequence[Click]) -> list[ClickState]:
        """See :class:`Stepper`."""
        states: list[ClickState] = []
        crop = Crop(0, 0, *image.shape[:2])
        for start in range(0, len(clicks), BATCH):
            groups = [[click] for click in clicks[start : start + BATCH]]
            given = self.prepare(image, crop, groups, None)
            probability, kept = self.predict(given, None)
            states += self._states(given, probability, kept)
        return states

    @torch.no_grad()
    def following(self, image: np.ndarray, clicks: Sequence[Click], state: ClickState) -> ClickState:
        """See :class:`Stepper`."""
        given = self.prepare(image, self.crop_for(image, clicks, state), [clicks], state)
        probability, kept = self.predict(given, state)
        return self._states(given, probability, kept)[0]

    def crop_for(self, image: np.ndarray, clicks: Sequence[Click], state: ClickState) -> Crop:
        """Where a later click looks."""
        height, width = image.shape[:2]
        if not self.network.config.zoom_in:
            return state.crop
        proposed = zoomed_crop(state.box(), clicks, height, width)
        whole = state.crop == Crop(0, 0, height, width)
        return proposed if whole else next_crop(state.crop, proposed, clicks)

    def predict(
        self, given: NetworkInput, state: ClickState | None
    ) -> tuple[Tensor, Mapping[str, Tensor] | list[Mapping[str, Tensor]]]:
        """Run the network.

        Args:
            given: The input.
            state: After the click before; None for first clicks.

        Returns:
            Probabilities ``[B, 1, H, W]``, and what each of the B states keeps (one mapping of tensors for
            all, or one for each).
        """
        output = self.network(given.image, given.points, given.previous)
        return logits_of(output).float().sigmoid(), {}

    def prepare(
        self, image: np.ndarray, crop: Crop, groups: Sequence[Sequence[Click]], state: ClickState | None
    ) -> NetworkInput:
        """Crop and resize a photo, draw nothing yet; groups of clicks become a batch."""
        config, device = self.network.config, self.network.device
        zoomed = state is not None and config.zoom_in
        longer = config.input_size if zoomed or config.square else config.first_size
        shape = input_shape(crop, longer, config.square, enlarge=zoomed)
        seen = resized(crop.cut(image), shape)
        padded = padding_of(shape)
        seen = cv2.copyMakeBorder(
            seen, 0, padded[0], 0, padded[1], cv2.BORDER_CONSTANT, value=[round(c) for c in config.image_mean]
        )
        tensor = torch.from_numpy(np.ascontiguousarray(seen.transpose(2, 0, 1))).to(device)
        points = np.stack([scaled_clicks(clicks, crop, shape) for clicks in groups])
        previous = np.zeros((len(groups), 1, *seen.shape[:2]), np.float32)
        if state is not None:
            previous[:, 0, : shape[0], : shape[1]] = resample(state.probability, state.crop, crop, shape)
        return NetworkInput(
            crop,
            shape,
            tensor.expand(len(groups), -1, -1, -1),
            torch.from_numpy(points).to(device),
            torch.from_numpy(previous).to(device),
            len(groups[0]),
        )

    def _states(
        self,
        given: NetworkInput,
        probability: Tensor,
        kept: Mapping[str, Tensor] | list[Mapping[str, Tensor]],
    ) -> list[ClickState]:
        maps = probability[:, 0, : given.shape[0], : given.shape[1]].float().cpu().numpy()
        threshold = self.network.config.mask_threshold
        own = kept if isinstance(kept, list) else [kept] * len(maps)
        return [
            ClickState(given.crop, np.ascontiguousarray(one), threshold, tensors)
            for one, tensors in zip(maps, own, strict=True)
        ]


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels ``[h, w, 3]`` at another size: area averages when shrinking, bilinear when growing."""
    if image.shape[:2] == shape:
        return image
    mode = cv2.INTER_AREA if shape[0] < image.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(np.ascontiguousarray(image), (shape[1], shape[0]), interpolation=mode)


def padding_of(shape: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns to add at the bottom and right."""
    return -shape[0] % PADDING_MULTIPLE, -shape[1] % PADDING_MULTIPLE
