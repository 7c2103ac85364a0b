"""Three classical segmentations from seeds; each is a pure function of a small picture."""

from __future__ import annotations

import cv2
import numpy as np

from models.systems.classical.seeds import Seeds, pieces_with
from toolkit.errors import InputError


def grabcut_mask(image: np.ndarray, seeds: Seeds, iterations: float) -> np.ndarray:
    """GrabCut (Rother et al., 2004) with OpenCV: seeds are sure, the window is probably the object.

    Args:
        image: uint8 ``[h, w, 3]`` RGB.
        seeds: What the clicks say.
        iterations: Of colour models and cuts in turn.

    Returns:
        bool ``[h, w]``, the pieces that hold a positive seed.
    """
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    labels[seeds.window] = cv2.GC_PR_BGD
    labels[_near(seeds)] = cv2.GC_PR_FGD
    labels[seeds.inside] = cv2.GC_FGD
    labels[seeds.outside] = cv2.GC_BGD
    if not seeds.inside.any() or not (labels == cv2.GC_BGD).any():
        return seeds.inside.copy()
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.setRNGSeed(0)  # its k-means draws from OpenCV's generator: the same clicks give the same mask
    cv2.grabCut(bgr, labels, (0, 0, 0, 0), background, foreground, round(iterations), cv2.GC_INIT_WITH_MASK)
    found = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return pieces_with(found, seeds.inside)


def _near(seeds: Seeds) -> np.ndarray:
    """The inner half of the window: probably the object, before GrabCut has looked."""
    away = cv2.distanceTransform(np.pad(seeds.window.astype(np.uint8), 1), cv2.DIST_C, cv2.DIST_MASK_3)[
        1:-1, 1:-1
    ]
    return seeds.window & (away > away.max() / 2)


def flood_mask(image: np.ndarray, seeds: Seeds, tolerance: float) -> np.ndarray:
    """Pixels connected to a seed whose colour is close to the seed's.

    Args:
        image: uint8 ``[h, w, 3]`` RGB.
        seeds: What the clicks say.
        tolerance: Largest distance to the seeds' mean colour, in CIELAB.

    Returns:
        bool ``[h, w]``, with its small holes filled; what is closer to a negative seed's colour is left out.
    """
    if not seeds.inside.any():
        return seeds.inside.copy()
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    close = np.zeros(image.shape[:2], bool)
    count, labels = cv2.connectedComponents(seeds.inside.astype(np.uint8), connectivity=8)
    for piece in range(1, count):
        own = labels == piece
        distance = np.linalg.norm(lab - np.median(lab[own], axis=0), axis=2)
        close |= pieces_with((distance <= tolerance) & seeds.window & ~seeds.outside | own, own)
    if seeds.outside.any():
        inner, outer = (np.median(lab[region], axis=0) for region in (seeds.inside, seeds.outside))
        nearer = np.linalg.norm(lab - inner, axis=2) <= np.linalg.norm(lab - outer, axis=2)
        close &= nearer | seeds.inside
    kernel = np.ones((3, 3), np.uint8)
    closed = cv2.morphologyEx(close.astype(np.uint8), cv2.MORPH_CLOSE, kernel, iterations=2).astype(bool)
    return pieces_with(closed & ~seeds.outside, seeds.inside)


def walker_mask(image: np.ndarray, seeds: Seeds, beta: float) -> np.ndarray:
    """Random walker (Grady, 2006) with scikit-image; the rim of the window is background.

    Args:
        image: uint8 ``[h, w, 3]`` RGB.
        seeds: What the clicks say.
        beta: How hard it is to cross an edge.

    Returns:
        bool ``[h, w]``.

    Raises:
        InputError: scikit-image is not installed.
    """
    try:
        from skimage.segmentation import random_walker
    except ImportError as error:
        raise InputError(
            "system 'random-walker': needs scikit-image; install it with pip install 'declutter[demo]'"
        ) from error
    rows, columns = np.flatnonzero(seeds.window.any(1)), np.flatnonzero(seeds.window.any(0))
    if not len(rows) or not seeds.inside.any():
        return seeds.inside.copy()
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    labels = np.zeros(seeds.window[box].shape, np.int32)
    labels[[0, -1]] = 2
    labels[:, [0, -1]] = 2
    labels[~seeds.window[box]] = 2
    labels[seeds.inside[box]] = 1
    labels[seeds.outside[box]] = 2
    if not (labels == 0).any() or not (labels == 2).any():
        return seeds.inside.copy()
    lab = cv2.cvtColor(image[box].astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
    # a solver this loose leaves probabilities a little outside of 0…1; only their order matters here
    walked = random_walker(
        lab.astype(np.float64), labels, beta=beta, mode="cg_j", channel_axis=-1, tol=1e-2, prob_tol=1.0
    )
    mask = np.zeros(seeds.window.shape, bool)
    mask[box] = walked == 1
    return pieces_with(mask, seeds.inside)
