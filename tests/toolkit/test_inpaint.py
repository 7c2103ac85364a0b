"""Removing objects by filling their masks from the surroundings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from toolkit.errors import InputError
from toolkit.inpaint import default_dilation, dilate, membrane, remove_objects


def disc(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def test_object_on_a_plain_wall_disappears_exactly() -> None:
    image = np.full((60, 80, 3), (120, 90, 60), np.uint8)
    mask = disc((60, 80), 30, 40, 9)
    image[mask] = (255, 0, 0)
    assert (remove_objects(image, [mask]) == (120, 90, 60)).all()


def test_pixels_outside_the_dilated_masks_stay(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    masks = [disc((70, 90), 20, 20, 8), disc((70, 90), 50, 70, 12)]
    cleaned = remove_objects(image, masks, dilation=2)
    touched = np.zeros((70, 90), bool)
    for mask in masks:
        touched |= ndimage.distance_transform_edt(~mask) <= 3
    assert (cleaned[~touched] == image[~touched]).all()
    assert (cleaned[masks[0]] != image[masks[0]]).any()


def test_regular_texture_is_continued() -> None:
    rows, columns = np.indices((96, 96))
    pattern = np.where((rows // 6 + columns // 6) % 2, 200, 40).astype(np.uint8)
    wall = np.repeat(pattern[..., None], 3, axis=2)
    mask = disc((96, 96), 48, 50, 9)
    littered = wall.copy()
    littered[mask] = (250, 20, 20)
    error = np.abs(remove_objects(littered, [mask]).astype(int) - wall)
    assert error.max() <= 1


def test_a_sibling_that_was_not_selected_is_not_copied_in(rng: np.random.Generator) -> None:
    image = np.repeat(rng.integers(90, 110, (120, 160, 1), dtype=np.uint8), 3, axis=2)
    for column in (30, 80, 130):
        image[disc((120, 160), 60, column, 12)] = 250
    selected = disc((120, 160), 60, 80, 12)
    cleaned = remove_objects(image, [selected])
    assert cleaned[selected].max() < 130
    assert (cleaned[disc((120, 160), 60, 30, 12)] == 250).all()


def test_membrane_of_a_linear_function_is_that_function() -> None:
    rows, columns = np.indices((20, 24)).astype(np.float32)
    plane = np.stack([2 * rows - columns, 0.5 * columns + 3], axis=2)
    hole = disc((20, 24), 10, 12, 6)
    solution = membrane(np.where(hole[..., None], 0, plane), hole, ~hole)
    np.testing.assert_allclose(solution[hole], plane[hole], atol=1e-3)
    assert (solution[~hole] == 0).all()


def test_membrane_at_the_border_of_the_photo_uses_the_sides_that_exist() -> None:
    hole = np.zeros((6, 5), bool)
    hole[:, :2] = True  # nothing known to the left, above or below
    values = np.full((6, 5, 1), 7, np.float32)
    np.testing.assert_allclose(membrane(values, hole, ~hole)[hole], 7, atol=1e-3)


def test_membrane_of_a_large_hole_stays_close_to_the_exact_one() -> None:
    rows, columns = np.indices((260, 260)).astype(np.float32)
    plane = (rows + 2 * columns)[..., None]
    hole = np.zeros((260, 260), bool)
    hole[20:240, 20:240] = True  # 48,400 pixels: solved on the coarser grid
    solution = membrane(np.where(hole[..., None], 0, plane), hole, ~hole)
    inner = np.zeros_like(hole)
    inner[24:236, 24:236] = True
    assert np.abs(solution - plane)[inner].max() < 4


def test_dilation_is_a_disc() -> None:
    mask = np.zeros((21, 21), bool)
    mask[10, 10] = True
    grown = dilate(mask, 5)
    distance = ndimage.distance_transform_edt(~mask)
    assert grown[distance <= 4].all()
    assert not grown[distance > 5.5].any()
    assert (dilate(mask, 0) == mask).all()
    assert default_dilation(300, 400) == 3
    assert default_dilation(3000, 4000) == 24


def test_nothing_to_remove_gives_a_copy() -> None:
    image = np.zeros((5, 5, 3), np.uint8)
    cleaned = remove_objects(image, [])
    assert (cleaned == image).all()
    assert cleaned is not image


def test_masks_that_cannot_be_used_are_refused() -> None:
    image = np.zeros((5, 5, 3), np.uint8)
    with pytest.raises(InputError, match="whole photo"):
        remove_objects(image, [np.ones((5, 5), bool)])
    with pytest.raises(InputError, match="5 × 5"):
        remove_objects(image, [np.ones((4, 5), bool)])
