"""Make an object look as if it had been in the photo: its light, its colour, its noise, its compression."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
    if not mask.any():
        return np.full(3, 128.0)
    return np.array(cv2.mean(image, mask.astype(np.uint8)))[:3]


def match_light(cutout: Cutout, surface: np.ndarray, light: float, colour: float) -> Cutout:
    """Draw an object's brightness and cast towards those of a surface.

    Args:
        cutout: the object.
        surface: float [3], mean RGB of the surface.
        light: 0 leaves the brightness, 1 takes the surface's (within limits).
        colour: 0 leaves the cast, 1 takes the surface's (within limits).
    """
    own = np.maximum(mean_colour(cutout.image, cutout.mask), 4.0)
    target = np.maximum(surface, 4.0)
    brightness = float(target @ _LUMINANCE) / float(own @ _LUMINANCE)
    cast = (target / float(target @ _LUMINANCE)) / (own / float(own @ _LUMINANCE))  # [3]
    gain = brightness**light * cast**colour
    return vary_colour(cutout, gain=np.clip(gain, *_GAINS))


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
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, _NOISE_FILTER))
    if mask is not None:
        inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
        response = response[inside]
    if response.size < 16:
        return 0.0
    return min(float(np.median(response)) / (_NORMAL_MEDIAN * _FILTER_NORM), MAX_NOISE)


def match_noise(cutout: Cutout, noise: float, rng: np.random.Generator) -> Cutout:
    """Add noise to an object that has less than the photo.

    Args:
        cutout: the object.
        noise: standard deviation in the photo, levels of 255.
        rng: draws the noise.
    """
    own = estimate_noise(cutout.image, cutout.mask)
    missing = math.sqrt(max(noise * noise - own * own, 0.0))
    if missing < 0.5:
        return cutout
    grain = rng.standard_normal((*cutout.mask.shape, 1), dtype=np.float32) * np.float32(missing)
    return replace(cutout, image=np.clip(np.rint(cutout.image + grain), 0, 255).astype(np.uint8))


def match_jpeg(cutout: Cutout, quality: int) -> Cutout:
    """Compress an object as JPEG once, at the photo's quality."""
    done, data = cv2.imencode(".jpg", cutout.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        return cutout
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return replace(cutout, image=np.ascontiguousarray(decoded[..., ::-1]))


def jpeg_quality(table_sum: float) -> int:
    """Quality 1 to 100 of a JPEG whose luminance table has this sum, as libjpeg scales tables."""
    percent = 100.0 * table_sum / _TABLE_SUM
    quality = 5000.0 / percent if percent > 100 else (200.0 - percent) / 2.0
    return int(np.clip(round(quality), 1, 100))
