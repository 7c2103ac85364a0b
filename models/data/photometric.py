"""Colour and sharpness changes of training pictures."""

from __future__ import annotations

import cv2
import numpy as np


def jitter_colours(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Random brightness, contrast, gamma, channel gains, saturation; at times grey, blur, noise or JPEG.

    Args:
        image: uint8 ``[H, W, 3]``.
        rng: Source of randomness.
        strength: 0 changes nothing, 1 is the training default.
    """
    if strength <= 0:
        return image
    levels = np.arange(256, dtype=np.float32)
    gamma = np.exp(rng.uniform(-0.25, 0.25) * strength)
    contrast = 1 + rng.uniform(-0.3, 0.3) * strength
    brightness = rng.uniform(-30, 30) * strength
    gains = 1 + rng.uniform(-0.1, 0.1, 3) * strength
    curve = ((255 * (levels / 255) ** gamma) - 128) * contrast + 128 + brightness  # [256]
    table = np.clip(curve[:, None] * gains[None], 0, 255).astype(np.uint8)  # [256, 3]
    image = cv2.LUT(np.ascontiguousarray(image), table[None])
    if rng.random() < 0.4 * strength:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = 0.0 if rng.random() < 0.25 else rng.uniform(0.3, 1.6)
        image = cv2.addWeighted(image, keep, grey, 1 - keep, 0)
    draw = rng.random()
    if draw < 0.1 * strength:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    elif draw < 0.2 * strength:
        noise = rng.standard_normal(image.shape, dtype=np.float32) * rng.uniform(2, 10)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    elif draw < 0.3 * strength:
        quality = int(rng.integers(40, 90))
        encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))
    return image
