"""Planning and drawing a scene: where copies go, how many, and what masks are true."""

import numpy as np
import pytest

from synth.compositing.compose import compose
from synth.objects.donors import Donor
from synth.placement import literal_peak
from synth.planning import perspective_scale, plan_scene
from synth.scene import Photo, SceneInstance, free_of_region
from synth.settings import SynthSettings, override
from tests.helpers.scenes import GROUND, HEIGHT, WALL, WIDTH, region_map, shape_mask
from toolkit.blending import BLENDS, PlacedMask
from toolkit.cutouts import cut_out

PLAIN = [
    *("variation.scale=[1, 1]", "variation.angle=[0, 0]", "variation.flip=0", "variation.brightness=0"),
    *("variation.colour=0", "placement.jitter=0", "placement.gap=0", "placement.perspective=0"),
    *("compositing.light=0", "compositing.colour=0", "compositing.shadow=0", "compositing.noise=false"),
    *("compositing.jpeg=false", "compositing.blends=[hard]"),
]


def settings(*assignments):
    return override(SynthSettings(), [*PLAIN, *assignments])


def donor(kind=1, size=9, colour=(250, 20, 20), annotation=1, group=None):
    image = np.full((40, 40, 3), 90, np.uint8)
    mask = shape_mask(kind, 20, 20, size, 40, 40)
    image[mask] = colour
    return Donor(cut_out(image, mask), kind + 1, "donors", "donor.png", annotation, "MIT", group)


def draw_from(donors):
    """A donor source that hands out the fitting donors in turn."""
    turn = iter(donors)

    def draw(rng, least, most, categories):
        return next((one for one in turn if least <= one.cutout.area <= most), None)

    return draw


def photo(instances=(), regions=None):
    regions = region_map() if regions is None else regions
    return Photo(np.full((*regions.shape, 3), 128, np.uint8), regions, instances, "photo.jpg", "CC0")


def own_instance(x, y, size=13, group=4, region=GROUND):
    placed = PlacedMask.from_full(shape_mask(0, x, y, size, HEIGHT, WIDTH))
    return SceneInstance(
        placed, 9, group, {"kind": "real"}, placed.area, annotation=77, region=region, copyable=True
    )


def only(region):
    regions = np.zeros((HEIGHT, WIDTH), np.uint8)
    regions[40:, :] = region
    return regions


def test_every_copy_lies_where_the_literal_algorithm_puts_it():
    """The paper's loop, worked out anew with full distance maps, gives the same places."""
    scene = photo(regions=only(GROUND))
    donors = [donor(1, 13, annotation=1), donor(0, 11, annotation=2), donor(2, 9, annotation=3)]
    plan = plan_scene(scene, draw_from(donors), settings("placement.max_overlap=1"), np.random.default_rng(0))
    free = free_of_region(scene, GROUND, True)
    areas = sorted((one.cutout.area for one in donors), reverse=True)
    assert len(plan.pastes) == sum(min(int(0.04 * free.sum() / area), 10) for area in areas)
    for paste in plan.pastes:
        x, y, squared = literal_peak(free)
        assert paste.peak[:2] == (x, y)
        assert paste.peak[2] == pytest.approx(squared**0.5)
        top, left = y - paste.cutout.height // 2, x - paste.cutout.width // 2
        assert (paste.left, paste.top) == (left, top)
        free &= ~PlacedMask(paste.left, paste.top, paste.cutout.mask).full(HEIGHT, WIDTH)


def test_at_least_three_different_objects_per_region_own_ones_first():
    scene = photo([own_instance(40, 90), own_instance(120, 90)], only(GROUND))
    plan = plan_scene(
        scene,
        draw_from([donor(1, annotation=1), donor(2, 11, annotation=2)]),
        settings(),
        np.random.default_rng(0),
    )
    sources = {(paste.origin["split"], paste.origin["annotation"]) for paste in plan.pastes}
    assert sources == {("photos", 77), ("donors", 1), ("donors", 2)}
    copies = [paste for paste in plan.pastes if paste.origin["split"] == "photos"]
    assert {paste.group_id for paste in copies} == {4}  # siblings of the original
    assert {paste.category_id for paste in copies} == {9}
    groups = {paste.group_id for paste in plan.pastes}
    assert groups == {4, 5, 6}


def test_objects_are_copied_within_their_own_region():
    on_wall = own_instance(40, 25, region=WALL)
    plan = plan_scene(photo([on_wall]), draw_from([]), settings(), np.random.default_rng(0))
    assert {paste.region for paste in plan.pastes} == {WALL}
    assert plan.left_out["no donor of a fitting size"] > 0


def test_copies_keep_off_annotated_objects_and_other_regions():
    scene = photo([own_instance(40, 90), own_instance(120, 90)])
    donors = [donor(kind % 3, 9 + kind % 4, annotation=kind) for kind in range(12)]
    plan = plan_scene(scene, draw_from(donors), settings("placement.max_overlap=0"), np.random.default_rng(0))
    taken = np.zeros((HEIGHT, WIDTH), int)
    for instance in scene.instances:
        taken += instance.placed.full(HEIGHT, WIDTH)
    for paste in plan.pastes:
        full = PlacedMask(paste.left, paste.top, paste.cutout.mask).full(HEIGHT, WIDTH)
        assert (scene.regions[full] == paste.region).all()
        taken += full
    assert taken.max() == 1
    assert len(plan.pastes) > 20


def test_gap_is_kept():
    scene = photo(regions=only(GROUND))
    plan = plan_scene(
        scene,
        draw_from([donor(1, 9), donor(0, 9, annotation=2)]),
        settings("placement.gap=4", "placement.max_overlap=0"),
        np.random.default_rng(0),
    )
    from scipy import ndimage

    fulls = [PlacedMask(p.left, p.top, p.cutout.mask).full(HEIGHT, WIDTH) for p in plan.pastes]
    for number, full in enumerate(fulls):
        rest = np.any(fulls[:number] + fulls[number + 1 :], axis=0)
        assert ndimage.distance_transform_edt(~full)[rest].min() > 4


def test_a_donor_larger_than_the_region_is_left_out():
    tiny = np.zeros((HEIGHT, WIDTH), np.uint8)
    tiny[50:80, 50:80] = WALL
    plan = plan_scene(photo(regions=tiny), draw_from([donor(1, 25)]), settings(), np.random.default_rng(0))
    assert plan.pastes == []
    assert plan.left_out == {"no donor of a fitting size": 3}
    small = np.zeros((HEIGHT, WIDTH), np.uint8)
    small[50:54, 50:54] = WALL
    plan = plan_scene(photo(regions=small), draw_from([donor(1, 3)]), settings(), np.random.default_rng(0))
    assert plan.left_out == {"region too small": 1}


def test_what_does_not_fit_is_counted():
    narrow = np.zeros((HEIGHT, WIDTH), np.uint8)
    narrow[50:60] = WALL  # ten rows: a square of nine fits, one of fifteen does not
    ratio = "objects.area_ratio=[0.0001, 0.5]"
    plan = plan_scene(
        photo(regions=narrow),
        draw_from([donor(1, 15)]),
        settings(ratio, "placement.max_overlap=0.1"),
        np.random.default_rng(0),
    )
    assert plan.pastes == []
    assert plan.left_out["does not fit"] == 1


def test_perspective_grows_towards_the_viewer():
    regions = only(GROUND)
    sizes = [perspective_scale(regions, row) for row in (45, 80, 115)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[1] == pytest.approx(1.0, abs=0.02)
    assert perspective_scale(np.zeros((5, 5), np.uint8), 2) == 1.0


def test_copies_of_the_photo_s_own_objects_scale_from_where_the_original_stands():
    far, near = own_instance(40, 50), own_instance(40, 110)
    sizes = {}
    for original in (far, near):
        scene = photo([original], only(GROUND))
        strong = settings("placement.perspective=1", "placement.max_overlap=1")
        plan = plan_scene(scene, draw_from([]), strong, np.random.default_rng(0))
        middle = [p for p in plan.pastes if 70 <= p.peak[1] <= 90]
        assert middle
        sizes[original.placed.top] = np.mean([p.cutout.area for p in middle]) / original.placed.area
    assert sizes[far.placed.top] > 1.3  # nearer than the original: larger
    assert sizes[near.placed.top] < 0.8


def test_masks_are_true_to_what_can_be_seen():
    """With hard edges and one colour per object, the picture itself tells which pixels each object shows."""
    scene = photo([own_instance(40, 90)], only(GROUND))
    for number, instance in enumerate(scene.instances):
        scene.image[instance.placed.window][instance.placed.mask] = (number + 1, 0, 0)
    colours = [(10, 200, 10), (10, 10, 200), (200, 10, 10), (200, 200, 10)]
    donors = [donor(k % 3, 15, colours[k], annotation=k) for k in range(2)]
    crowded = settings(
        "placement.max_overlap=1",
        "placement.coverage=0.9",
        "compositing.min_visible=0",
        "placement.avoid_instances=false",
    )
    rng = np.random.default_rng(3)
    plan = plan_scene(scene, draw_from(donors), crowded, rng)
    # push the copies onto each other and over the border
    from dataclasses import replace

    plan.pastes = [
        replace(p, left=p.left // 2 - 8, top=60 + p.top // 4, cutout=replace_colour(p.cutout, (n + 20, n, 7)))
        for n, p in enumerate(plan.pastes)
    ]
    canvas, kept, dropped = compose(scene, plan, "hard", crowded.compositing, rng)
    seen = [one for one in kept if one.origin["kind"] == "pasted"]
    assert len(kept) + len(dropped) == len(plan.pastes) + 1
    assert len(seen) > 10
    by_place = {(p.origin["x"], p.origin["y"]): n for n, p in enumerate(plan.pastes)}
    for one in seen:
        number = by_place[one.origin["x"], one.origin["y"]]
        assert np.array_equal(
            one.placed.full(HEIGHT, WIDTH), (canvas == (number + 20, number, 7)).all(axis=2)
        )
    covered = np.sum([one.placed.full(HEIGHT, WIDTH) for one in kept], axis=0)
    assert covered.max() == 1


def replace_colour(cutout, colour):
    from dataclasses import replace

    return replace(cutout, image=np.full_like(cutout.image, colour))


def test_what_is_hardly_visible_is_dropped():
    scene = photo([own_instance(60, 80, size=13)], only(GROUND))
    plan = plan_scene(scene, draw_from([donor(1, 15)]), settings(), np.random.default_rng(0))
    from dataclasses import replace

    plan.pastes = [replace(plan.pastes[0], left=50, top=70, cutout=donor(1, 21).cutout)]
    _, kept, dropped = compose(scene, plan, "hard", settings().compositing, np.random.default_rng(0))
    assert [one.origin["kind"] for one in kept] == ["pasted"]
    assert [one.origin["kind"] for one in dropped] == ["real"]


def test_blends_share_masks_and_differ_at_the_seams():
    scene = photo(regions=only(GROUND))
    drawn = {}
    for blend in BLENDS:
        plan = plan_scene(
            scene, draw_from([donor(0, 13), donor(1, 13, annotation=2)]), settings(), np.random.default_rng(0)
        )
        canvas, kept, _ = compose(scene, plan, blend, settings().compositing, np.random.default_rng(0))
        drawn[blend] = canvas, [one.placed.full(HEIGHT, WIDTH) for one in kept]
    for canvas, masks in drawn.values():
        assert all(np.array_equal(a, b) for a, b in zip(masks, drawn["hard"][1], strict=True))
        if canvas is not drawn["hard"][0]:
            assert not np.array_equal(canvas, drawn["hard"][0])


def test_the_same_seed_plans_the_same_scene_and_another_does_not():
    def places(seed):
        plan = plan_scene(
            photo(),
            draw_from([donor(k % 3, 11, annotation=k) for k in range(9)]),
            SynthSettings(),
            np.random.default_rng(seed),
        )
        return [paste.origin for paste in plan.pastes]

    assert places(1) == places(1) != places(2)
