"""The training criterion of 1C-DSN, on outputs whose losses can be worked out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from models.losses import dice_loss
from models.one_click.assign import assign_locations, level_locations
from models.one_click.criterion import (
    CriterionConfig,
    OneClickCriterion,
    Targets,
    assign_pictures,
    at_most,
    flatten_levels,
    gather_kernels,
)
from models.one_click.dynamic_masks import dynamic_masks
from models.one_click.model import OneClickModel, OneClickOutput
from tests.helpers.networks import random_one_click

SIDE = 64
LOCATIONS = 16**2 + 8**2 + 4**2 + 2**2


@pytest.fixture(scope="module")
def network() -> OneClickModel:
    return random_one_click()


@pytest.fixture(scope="module")
def output(network: OneClickModel) -> OneClickOutput:
    image = torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        return network(image)


def targets(*boxes: tuple[int, int, int, int]) -> Targets:
    """Filled rectangles."""
    masks = torch.zeros(len(boxes), SIDE // 2, SIDE // 2, dtype=torch.uint8)
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        masks[index, y1 // 2 : y2 // 2, x1 // 2 : x2 // 2] = 1
    corners = torch.tensor(boxes).float().view(-1, 4)
    return Targets(corners, (corners[:, :2] + corners[:, 2:]) / 2, masks)


def constant(output: OneClickOutput, distance: float) -> OneClickOutput:
    """All logits zero, all distances the same number of strides."""
    levels = [
        replace(
            level,
            logits=torch.zeros_like(level.logits),
            centerness=torch.zeros_like(level.centerness),
            distances=torch.full_like(level.distances, distance),
        )
        for level in output.levels
    ]
    return replace(output, levels=levels)


def test_losses_of_constant_outputs(output: OneClickOutput) -> None:
    network = random_one_click()
    torch.nn.init.zeros_(network.heads.kernels.weight)  # all mask logits zero, all probabilities a half
    objects = [targets((0, 0, 40, 40)), targets()]
    losses = OneClickCriterion(CriterionConfig())(network, constant(output, 3.0), objects)
    # four positives, at (18 | 22, 18 | 22); every other location of both pictures is a negative
    negatives = 2 * LOCATIONS - 4
    focal = math.log(2) * 0.25 * (0.25 * 4 + 0.75 * negatives)
    assert losses["class"].item() == pytest.approx(focal / 4, rel=1e-5)
    # each predicts 24 × 24 around itself, inside the object: hull = union = 40 × 40
    assert losses["box"].item() == pytest.approx(1 - 24 * 24 / 1600, rel=1e-5)
    assert losses["centerness"].item() == pytest.approx(math.log(2), rel=1e-5)
    area, cells = 20 * 20, 32 * 32
    assert losses["mask"].item() == pytest.approx(1 - area / (cells / 4 + area), rel=1e-5)
    total = sum(losses[name].item() for name in ("class", "box", "centerness", "mask"))
    assert losses["total"].item() == pytest.approx(total, rel=1e-6)


def test_boxes_count_by_their_centerness(network: OneClickModel, output: OneClickOutput) -> None:
    # positives at x = 14, 18, 22 and y = 18, 22 of a box from 0 to 40 whose centre of mass lies at (19, 20)
    object_ = targets((0, 0, 40, 40))
    object_ = replace(object_, centers=torch.tensor([[19.0, 20.0]]))
    losses = OneClickCriterion(CriterionConfig())(network, constant(output, 1.0), [object_, targets()])
    x_weights = [math.sqrt(14 / 26), math.sqrt(18 / 22), math.sqrt(18 / 22)]
    y_weight = math.sqrt(18 / 22)
    wanted = [x * y_weight for x in x_weights for _ in range(2)]
    overlap = 1 - 8 * 8 / 1600  # the same for all, so the weights must cancel
    assert losses["box"].item() == pytest.approx(overlap, rel=1e-5)
    # at logit 0 the cross-entropy is ln 2, whatever is wanted
    assert losses["centerness"].item() == pytest.approx(math.log(2), rel=1e-5)
    # with other boxes at x = 14, the weights show
    changed = constant(output, 1.0)
    changed.levels[0].distances[0, :, :, 3] = 2.0  # column 3 lies at x = 14: boxes of 16 × 16
    losses = OneClickCriterion(CriterionConfig())(network, changed, [object_, targets()])
    per_location = [1 - 256 / 1600] * 2 + [overlap] * 4
    expected = sum(w * o for w, o in zip(wanted, per_location, strict=True)) / sum(wanted)
    assert losses["box"].item() == pytest.approx(expected, rel=1e-5)


def test_the_mask_loss_is_the_mean_dice_of_the_positives(
    network: OneClickModel, output: OneClickOutput
) -> None:
    objects = [targets((8, 8, 32, 24), (40, 40, 60, 60)), targets((4, 30, 24, 62))]
    losses = OneClickCriterion(CriterionConfig())(network, output, objects)
    points, levels = level_locations([(16, 16), (8, 8), (4, 4), (2, 2)])
    expected = []
    for index, own in enumerate(objects):
        owner = assign_locations(own.boxes, own.centers, points, levels)
        places = (owner >= 0).nonzero()[:, 0]
        assert (levels[places] == 0).all()
        with torch.no_grad():
            kernels = network.heads.dense_kernels(output.levels[0].features)[index].flatten(1).T[places]
        masks = dynamic_masks(
            output.mask_features[index], kernels, points[places], torch.full((len(places),), 32.0)
        )
        masks = torch.nn.functional.interpolate(
            masks[None], scale_factor=2, mode="bilinear", align_corners=False
        )
        expected.append(dice_loss(masks[0].sigmoid(), own.masks[owner[places]].float()))
    assert losses["mask"].item() == pytest.approx(torch.cat(expected).mean().item(), rel=1e-4)


def test_weights_multiply_their_losses(network: OneClickModel, output: OneClickOutput) -> None:
    config = CriterionConfig(class_weight=2, box_weight=3, centerness_weight=5, mask_weight=7)
    losses = OneClickCriterion(config)(network, output, [targets((0, 0, 40, 40)), targets((8, 8, 30, 60))])
    weighed = 2 * losses["class"] + 3 * losses["box"] + 5 * losses["centerness"] + 7 * losses["mask"]
    assert losses["total"].item() == pytest.approx(weighed.item(), rel=1e-6)


def test_pictures_without_objects(network: OneClickModel, output: OneClickOutput) -> None:
    losses = OneClickCriterion(CriterionConfig())(network, constant(output, 2.0), [targets(), targets()])
    assert losses["class"].item() == pytest.approx(2 * LOCATIONS * 0.75 * 0.25 * math.log(2), rel=1e-5)
    assert losses["box"].item() == losses["centerness"].item() == losses["mask"].item() == 0


def test_distances_are_in_pixels(output: OneClickOutput) -> None:
    logits, distances, centerness = flatten_levels(output)
    assert logits.shape == centerness.shape == (2, LOCATIONS)
    assert distances.shape == (2, LOCATIONS, 4)
    row, column = 3, 5  # of P3, which comes after P2's 256 locations
    place = 256 + row * 8 + column
    assert torch.equal(distances[1, place], output.levels[1].distances[1, :, row, column] * 8)
    assert logits[1, place] == output.levels[1].logits[1, 0, row, column]


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_gathered_kernels_equal_dense_ones(norm: str) -> None:
    network = random_one_click(norm=norm, kernel_coordinates=True)
    with torch.no_grad():
        output = network(torch.rand(2, 3, SIDE, SIDE) * 255)
        # of both pictures and all levels, in no order
        places = [torch.tensor([300, 0, 339, 255, 321]), torch.tensor([336, 17])]
        image = torch.tensor([0, 0, 0, 0, 0, 1, 1])
        gathered = gather_kernels(network, output, image, torch.cat(places))
        dense = torch.cat(
            [
                network.heads.dense_kernels(network.heads.with_coordinates(level.features)).flatten(2)
                for level in output.levels
            ],
            2,
        )  # [2, 169, L]
        none = gather_kernels(network, output, image[:0], places[0][:0])
    expected = torch.cat([dense[0].T[places[0]], dense[1].T[places[1]]])
    torch.testing.assert_close(gathered, expected, atol=1e-5, rtol=1e-5)
    assert none.shape == (0, 169)


def test_at_most_so_many_of_each_group() -> None:
    torch.manual_seed(0)
    groups = torch.tensor([0] * 10 + [3] * 2 + [1] * 5)
    kept = at_most(groups, 3)
    assert len(set(kept.tolist())) == len(kept)
    assert torch.bincount(groups[kept]).tolist() == [3, 3, 0, 2]
    assert at_most(groups[:0], 3).shape == (0,)
    seen = {int(i) for _ in range(60) for i in at_most(groups, 1)}
    assert seen == set(range(17))  # any of them may be kept


def test_masks_of_a_picture_are_limited(network: OneClickModel, output: OneClickOutput) -> None:
    # an object of four locations in each picture; two of each are kept
    objects = [targets((0, 0, 40, 40)), targets((16, 16, 56, 56))]
    found: list[torch.Tensor] = []

    def seen(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        found.append(args[0])

    hook = network.heads.kernel_tower.units[0].norm.register_forward_pre_hook(seen)
    OneClickCriterion(CriterionConfig(masks_per_image=2))(network, output, objects)
    OneClickCriterion(CriterionConfig(masks_per_object=1))(network, output, objects)
    OneClickCriterion(CriterionConfig(masks_in_all=6))(network, output, objects)
    hook.remove()
    assert [len(x) for x in found] == [4, 2, 6]


def test_pictures_of_a_batch_are_assigned_as_each_alone() -> None:
    points, levels = level_locations([(16, 16), (8, 8), (4, 4), (2, 2)])
    objects = [targets((8, 8, 32, 24), (40, 40, 60, 60)), targets(), targets((4, 30, 24, 62))]
    together = assign_pictures(objects, points, levels)
    alone = [assign_locations(t.boxes, t.centers, points, levels) for t in objects]
    assert torch.equal(together[0], alone[0])
    assert (together[1] == -1).all()
    assert torch.equal(together[2] >= 0, alone[2] >= 0)
    assert set(together[2].tolist()) == {-1, 2}  # the third object of all pictures
    assert (assign_pictures([targets()], points, levels) == -1).all()
