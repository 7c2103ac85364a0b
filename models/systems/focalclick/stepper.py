"""How FocalClick answers clicks: target crop, coarse mask, focus crop, refined mask, merge."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from models.systems.clicking.crops import Crop, scaled_clicks, zoomed_crop
from models.systems.clicking.state import MaskState
from models.systems.clicking.stepper import resized
from models.systems.focalclick.merging import box_to_crop, focus_box, progressive_merge
from models.systems.focalclick.network import FocalNetwork
from toolkit.clicks import Click
from toolkit.masks import mask_box


class FocalStepper:
    """See :class:`models.systems.clicking.stepper.Stepper`.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: FocalNetwork) -> None:
        self.network = network

    def first(self, image: np.ndarray, clicks: Sequence[Click]) -> list[MaskState]:
        """Each click looks at the whole photo."""
        nothing = np.zeros(image.shape[:2], bool)
        return [self._step(image, [click], nothing) for click in clicks]

    def following(self, image: np.ndarray, clicks: Sequence[Click], state: MaskState) -> MaskState:
        """A later click looks at a crop around the mask before."""
        return self._step(image, clicks, state.mask(*image.shape[:2]))

    @torch.no_grad()
    def _step(self, image: np.ndarray, clicks: Sequence[Click], previous: np.ndarray) -> MaskState:
        height, width = image.shape[:2]
        config, newest = self.network.config, clicks[-1]
        side = (config.input_size, config.input_size)
        box = mask_box(previous) if previous.any() and config.zoom_in else None
        target = zoomed_crop(box, clicks, height, width)
        if not target.holds(newest):  # a negative click far away changes nothing here
            return MaskState.of(previous, 1.0)
        before = resized_mask(target.cut(previous), side)
        points = self._tensor(scaled_clicks(clicks, target, side)[None])
        coarse = self.network(self._pixels(image, target, side), points, self._tensor(before[None, None]))
        probability = coarse.logits[0, 0].float().sigmoid().cpu().numpy()
        point = scaled_clicks([newest], target, side)[0]
        inner = focus_box(
            probability > config.mask_threshold, before > 0.5, (float(point[0]), float(point[1]))
        )
        focus = box_to_crop(inner, target, side)
        small = (config.focus_size, config.focus_size)
        refined = self.network.refine(
            self._pixels(image, focus, small),
            self._tensor(scaled_clicks(clicks, focus, small)[None]),
            coarse,
            self._tensor(np.array([inner_of(focus, target, side)], np.float32)),
        )
        detail = refined.logits[0, 0].float().sigmoid().cpu().numpy()
        mask = np.zeros((height, width), bool)
        target.cut(mask)[:] = grown(probability, target) > config.mask_threshold
        focus.cut(mask)[:] = grown(detail, focus) > config.mask_threshold
        if len(clicks) > config.merge_after:
            mask = progressive_merge(mask, previous, newest.row, newest.column)
        selected = probability[probability > config.mask_threshold]
        return MaskState.of(mask, float(selected.mean()) if len(selected) else 0.0)

    def _pixels(self, image: np.ndarray, crop: Crop, shape: tuple[int, int]) -> Tensor:
        pixels = resized(crop.cut(image), shape)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].to(self.network.device)

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.network.device)


def resized_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask (bool ``[h, w]``) at another size, float32: the share of each pixel that it covers."""
    mode = cv2.INTER_AREA if shape[0] < mask.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(mask.astype(np.float32), (shape[1], shape[0]), interpolation=mode)


def grown(probability: np.ndarray, crop: Crop) -> np.ndarray:
    """Probabilities of a crop at the photo's resolution."""
    return cv2.resize(probability, (crop.width, crop.height), interpolation=cv2.INTER_LINEAR)


def inner_of(focus: Crop, target: Crop, side: tuple[int, int]) -> tuple[float, float, float, float]:
    """The focus crop as a box (x1, y1, x2, y2) in the input, ``side`` (height, width), of the target crop."""
    scale_y, scale_x = side[0] / target.height, side[1] / target.width
    left, top = (focus.left - target.left) * scale_x, (focus.top - target.top) * scale_y
    return left, top, left + focus.width * scale_x, top + focus.height * scale_y
