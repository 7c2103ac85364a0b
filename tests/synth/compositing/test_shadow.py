"""The contact shadow."""

import numpy as np

from synth.compositing.shadow import cast_contact_shadow
from toolkit.blending import PlacedMask


def test_a_shadow_darkens_beside_the_foot_and_fades():
    canvas = np.full((80, 80, 3), 200, np.uint8)
    cast_contact_shadow(canvas, PlacedMask(30, 30, np.ones((20, 20), bool)), 0.5)
    assert canvas[40, 40, 0] == 100  # under the object: half as bright
    assert canvas[50, 40, 0] < canvas[29, 40, 0]  # below the foot rather than above the head
    assert canvas[52, 40, 0] < canvas[55, 40, 0] <= 200
    assert (canvas[:20] == 200).all()
    assert (canvas[62:] == 200).all()


def test_no_darkness_no_change_and_borders_are_clipped():
    canvas = np.full((40, 40, 3), 200, np.uint8)
    cast_contact_shadow(canvas, PlacedMask(10, 10, np.ones((5, 5), bool)), 0.0)
    cast_contact_shadow(canvas, PlacedMask(10, 10, np.zeros((5, 5), bool)), 0.5)
    assert (canvas == 200).all()
    cast_contact_shadow(canvas, PlacedMask(-3, 35, np.ones((9, 9), bool)), 0.5)
    assert canvas[38, 0, 0] < 150
    assert canvas[0, 39, 0] == 200
