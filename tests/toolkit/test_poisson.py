"""Poisson's equation against hand-computed cells, a dense solver and OpenCV."""

import cv2
import numpy as np
import pytest

from toolkit.poisson import cloned_difference


def test_one_cell_by_hand():
    difference = np.zeros((3, 3, 1), np.float32)
    difference[1, 1] = 4
    everywhere = np.ones((3, 3), bool)
    # four steps of 4 lead up to the middle: it stands 4 above its neighbours
    assert cloned_difference(difference, everywhere)[1, 1, 0] == pytest.approx(4)
    # a step counts where its first pixel is in the mask: of the four, those from the left and from above
    before = np.zeros((3, 3), bool)
    before[1, 0] = before[0, 1] = True
    assert cloned_difference(difference, before)[1, 1, 0] == pytest.approx(2)


def test_it_solves_the_equation():
    rng = np.random.default_rng(0)
    height, width = 6, 8
    difference = rng.normal(0, 30, (height, width, 1)).astype(np.float32)
    mask = rng.random((height, width)) < 0.6
    inner = [(y, x) for y in range(1, height - 1) for x in range(1, width - 1)]
    matrix, wanted = np.zeros((len(inner), len(inner))), np.zeros(len(inner))
    for row, (y, x) in enumerate(inner):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            beside = (y + dy, x + dx)
            first = min((y, x), beside)
            if mask[first]:
                wanted[row] += difference[beside][0] - difference[y, x][0]
            if beside in inner:
                matrix[row, inner.index(beside)] = 1
        matrix[row, row] = -4
    solved = np.linalg.solve(matrix, wanted)
    result = cloned_difference(difference, mask)[..., 0]
    assert [result[place] for place in inner] == pytest.approx(solved.tolist(), abs=1e-3)
    result[1:-1, 1:-1] = 0
    assert not result.any()


@pytest.mark.parametrize("size", [15, 34, 61])
def test_it_is_opencv_s_seamless_clone(size):
    rng = np.random.default_rng(size)
    canvas, image = (
        cv2.GaussianBlur(rng.integers(60, 200, (size, size, 3), dtype=np.uint8), (0, 0), 3) for _ in range(2)
    )
    mask = np.zeros((size, size), np.uint8)
    cv2.ellipse(mask, (size // 2, size // 2), (size // 2 - 4, size // 3), 20, 0, 360, 255, -1)
    x, y, width, height = cv2.boundingRect(mask)
    theirs = cv2.seamlessClone(
        image, canvas, mask.copy(), (x + width // 2, y + height // 2), cv2.NORMAL_CLONE
    )
    box = (slice(y, y + height), slice(x, x + width))
    kernel = np.ones((3, 3), np.uint8)
    guiding = cv2.erode(
        mask[box], kernel, iterations=3, borderType=cv2.BORDER_CONSTANT, borderValue=0
    ).astype(bool)
    own = canvas[box].astype(np.float32)
    ours = own + cloned_difference(image[box] - own, guiding)
    # seamlessClone cuts fractions off
    assert np.abs(np.floor(ours + 1e-3) - theirs[box]).max() <= 1
    assert (np.floor(ours + 1e-3) == theirs[box]).mean() > 0.98


def test_crops_too_thin_to_have_an_inside_stay_as_they_are():
    assert not cloned_difference(np.ones((2, 9, 3), np.float32), np.ones((2, 9), bool)).any()
