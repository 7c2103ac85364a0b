"""Make an object look as if it had been in the photo: its light, its colour, its noise, its compression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.cutouts import Cutout, vary_colour

# ITU-R BT.601, as in JPEG.
_LUMINANCE = np.array([0.299, 0.587, 0.114])
# A gain beyond these would turn a white cup into a grey one.
_GAINS = (0.6, 1.6)
# Median absolute value of a standard normal variable; the filter below has norm 6 (Immerkær, 1996).
_NORMAL_MEDIAN, _FILTER_NORM = 0.6745, 6.0
_NOISE_FILTER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_NEIGHBOURS = np.ones((3, 3), np.uint8)
MAX_NOISE = 12.0  # levels of 255; what looks like more is texture
# Luminance table of JPEG at quality 50 (ITU-T T.81, table K.1), its sum.
_TABLE_SUM = 3688.0


@dataclass(frozen=True)
class Surface:
    """What an object is matched to.

    Attributes:
        colour: float [3], mean RGB of the region, 0 to 255.
        noise: standard deviation of the photo's noise, levels of 255.
        quality: JPEG quality that the photo was saved with; None where it was not, or unknown.
    """

    colour: np.ndarray
    noise: float = 0.0
    quality: int | None = None


def mean_colour(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean RGB, float [3], of the pixels of a mask; mid-grey when it is empty."""
    inside = np.ascontiguousarray(mask).view(np.uint8)
    if not cv2.hasNonZero(inside):
        return np.full(3, 128.0)
    return np.array(cv2.mean(image, inside))[:3]


def match_light(
    cutout: Cutout, surface: np.ndarray, light: float, colour: float, gain: np.ndarray | float = 1.0
) -> Cutout:
    """Draw an object's brightness and cast towards those of a surface.

    Args:
        cutout: the object.
        surface: float [3], mean RGB of the surface.
        light: 0 leaves the brightness, 1 takes the surface's (within limits).
        colour: 0 leaves the cast, 1 takes the surface's (within limits).
        gain: scalar or [3], by which the object's colours are changed first.
    """
    own = np.maximum(mean_colour(cutout.image, cutout.mask) * gain, 4.0)
    target = np.maximum(surface, 4.0)
    own_light, target_light = float(own @ _LUMINANCE), float(target @ _LUMINANCE)
    brightness = target_light / own_light
    cast = (target / target_light) / (own / own_light)  # [3]
    matching = np.clip(brightness**light * cast**colour, *_GAINS)
    return vary_colour(cutout, gain=matching * gain)


def estimate_noise(image: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Standard deviation of the noise of an image, robust against its edges.

    Immerkær's filter (Computer Vision and Image Understanding 64, 1996), with the median in place of the
    mean.

    Args:
        image: uint8 [h, w, 3].
        mask: bool [h, w], where to look; everywhere by default.

    Returns:
        Levels of 255; 0 when there is too little to look at.
    """
    return noise_of(noise_response(image), mask)


def noise_response(image: np.ndarray) -> np.ndarray:
    """Absolute response of Immerkær's filter, int16 [h, w], to an image uint8 [h, w, 3] in grey."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.abs(cv2.filter2D(grey, cv2.CV_16S, _NOISE_FILTER))


def noise_of(response: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Standard deviation of the noise under a mask, from `noise_response`; see `estimate_noise`."""
    if mask is not None:
        whole = np.ascontiguousarray(mask).view(np.uint8)
        inside = cv2.erode(whole, _NEIGHBOURS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        response = response[inside.view(bool)]
    if response.size < 16:
        return 0.0
    return min(_median(response) / (_NORMAL_MEDIAN * _FILTER_NORM), MAX_NOISE)


def _median(values: np.ndarray) -> float:
    """Median of small non-negative whole numbers, by counting: faster than sorting."""
    below = np.cumsum(np.bincount(values.ravel()))
    low, high = np.searchsorted(below, ((values.size - 1) // 2, values.size // 2), side="right")
    return float(low + high) / 2


def match_noise(cutout: Cutout, noise: float, rng: np.random.Generator, own: float | None = None) -> Cutout:
    """Add noise to an object that has less than the photo.

    Args:
        cutout: the object.
        noise: standard deviation in the photo, levels of 255.
        rng: draws the noise.
        own: standard deviation in the object, where it is known.
    """
    own = estimate_noise(cutout.image, cutout.mask) if own is None else own
    missing = math.sqrt(max(noise * noise - own * own, 0.0))
    if missing < 0.5:
        return cutout
    grain = rng.standard_normal(cutout.mask.shape, dtype=np.float32) * np.float32(missing)
    noisy = cv2.add(cutout.image, cv2.merge((grain, grain, grain)), dtype=cv2.CV_8U)  # rounds and clips
    return Cutout(noisy, cutout.alpha, cutout.mask)


def match_jpeg(cutout: Cutout, quality: int) -> Cutout:
    """Compress an object as JPEG once, at the photo's quality."""
    stored = cv2.cvtColor(cutout.image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        return cutout
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return Cutout(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), cutout.alpha, cutout.mask)


def jpeg_quality(table_sum: float) -> int:
    """Quality 1 to 100 of a JPEG whose luminance table has this sum, as libjpeg scales tables."""
    percent = 100.0 * table_sum / _TABLE_SUM
    quality = 5000.0 / percent if percent > 100 else (200.0 - percent) / 2.0
    return int(np.clip(round(quality), 1, 100))
