"""From clicks to objects: against a full dense pass, and with candidates made by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from models.one_click import OneClickModel, finder
from models.one_click.candidates import Candidates, find_candidates, nms, no_locations
from models.one_click.dynamic_masks import dynamic_masks
from models.one_click.finder import EncodedImage, ObjectFinder
from models.one_click.found_object import FoundObject
from models.one_click.model import click_maps_of
from models.one_click.windows import ClickedImage, click_reach
from tests.helpers.networks import random_one_click

SIDE = 96  # no level has more than 1000 locations, so none is left out for their number
Points = Sequence[tuple[float, float]]


@pytest.fixture(scope="module")
def network() -> OneClickModel:
    """Boxes of some 14 strides, so that locations farther than a window reach a click."""
    model = random_one_click(seed=1)
    torch.nn.init.constant_(model.heads.box_distances.bias, 7.0)
    return model


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.randint(0, 256, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1)).float()


@pytest.fixture(scope="module")
def encoded(network: OneClickModel, image: Tensor) -> EncodedImage:
    return ObjectFinder(network, everywhere=True).encode(image, SIDE, SIDE)


def plain_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, limit: int) -> list[int]:
    """Greedy suppression, box by box."""
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: -scores[i])[:100]:
        x1, y1, x2, y2 = boxes[index]
        fits = True
        for other in kept:
            a1, b1, a2, b2 = boxes[other]
            common = max(min(x2, a2) - max(x1, a1), 0) * max(min(y2, b2) - max(y1, b1), 0)
            union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - common
            fits &= common / max(union, 1e-6) <= threshold
        if fits:
            kept.append(index)
    return kept[:limit]


def dense_locations(network: OneClickModel, image: Tensor, clicks: Points) -> dict[str, np.ndarray | Tensor]:
    """All locations whose box holds a click, from a full pass; without what the finder leaves out.

    A location that no click reaches must score more than 0.05.
    """
    reach = click_reach(network.heads)
    output = network(image, click_maps_of([clicks], SIDE, SIDE))
    scores, boxes, points, levels, kernels, near = [], [], [], [], [], []
    for level, heads in enumerate(output.levels):
        stride = 4 * 2**level
        all_kernels = network.heads.dense_kernels(heads.features)[0]
        height, width = heads.logits.shape[-2:]
        for row in range(height):
            for column in range(width):
                x, y = column * stride + stride // 2, row * stride + stride // 2
                left, up, right, down = (heads.distances[0, :, row, column] * stride).tolist()
                box = (x - left, y - up, x + right, y + down)
                logit, centerness = heads.logits[0, 0, row, column], heads.centerness[0, 0, row, column]
                score = float((logit.sigmoid() * centerness.sigmoid()).sqrt())
                if not any(box[0] <= a < box[2] and box[1] <= b < box[3] for a, b in clicks):
                    continue
                away = min(max(abs(a // stride - column), abs(b // stride - row)) for a, b in clicks)
                if away > reach and score <= 0.05:
                    continue
                scores.append(score)
                boxes.append(box)
                points.append((x, y))
                levels.append(level)
                kernels.append(all_kernels[:, row, column])
                near.append(away <= reach)
    return {
        "scores": np.array(scores),
        "boxes": np.array(boxes),
        "points": np.array(points, np.float32),
        "levels": np.array(levels),
        "near": np.array(near),
        "kernels": torch.stack(kernels),
        "features": output.mask_features[0],
    }


def bilinear(logits: np.ndarray, x: float, y: float) -> float:
    """Value at a pixel of a map at stride 4, the border repeated."""
    row, column = (y - 2.5) / 4, (x - 2.5) / 4
    top, left = int(np.floor(row)), int(np.floor(column))
    value = 0.0
    for r, weight_r in ((top, 1 - row + top), (top + 1, row - top)):
        for c, weight_c in ((left, 1 - column + left), (left + 1, column - left)):
            value += (
                weight_r
                * weight_c
                * logits[min(max(r, 0), logits.shape[0] - 1), min(max(c, 0), logits.shape[1] - 1)]
            )
    return value


def dense_answer(
    network: OneClickModel, image: Tensor, clicks: Points, avoid: Points = ()
) -> tuple[float, tuple[int, int, int, int], np.ndarray] | None:
    """Score, window (top, bottom, left, right) and logits of what the rule finds in a full pass."""
    dense = dense_locations(network, image, clicks)
    best, most = None, 0
    for index in plain_nms(dense["boxes"], dense["scores"], 0.6, 6):
        size = 32.0 * 2 ** dense["levels"][index]
        whole = dynamic_masks(
            dense["features"],
            dense["kernels"][index][None],
            torch.from_numpy(dense["points"][index])[None],
            torch.tensor([size], dtype=torch.float32),
        )[0].numpy()
        x1, y1, x2, y2 = dense["boxes"][index]
        grow_x, grow_y = 0.2 * (x2 - x1), 0.2 * (y2 - y1)
        cells = SIDE // 4
        top, bottom = max(int((y1 - grow_y) // 4) - 2, 0), min(int((y2 + grow_y) // 4) + 3, cells)
        left, right = max(int((x1 - grow_x) // 4) - 2, 0), min(int((x2 + grow_x) // 4) + 3, cells)
        inside = whole[top:bottom, left:right]

        def holds(x: float, y: float, inside: np.ndarray = inside, at: tuple = (left, top)) -> bool:
            return bilinear(inside, x - 4 * at[0], y - 4 * at[1]) > 0

        if any(left * 4 <= x < right * 4 and top * 4 <= y < bottom * 4 and holds(x, y) for x, y in avoid):
            continue
        held = sum(holds(x, y) for x, y in clicks)
        if held > most:
            best, most = (float(dense["scores"][index]), (top, bottom, left, right), inside), held
        if most == len(clicks):
            break
    return best


def assert_same(found: FoundObject | None, expected: tuple | None) -> None:
    if expected is None:
        assert found is None
        return
    assert found is not None
    score, (top, bottom, left, right), logits = expected
    assert found.score == pytest.approx(score, abs=1e-5)
    assert (found.top, found.left, *found.logits.shape) == (top, left, bottom - top, right - left)
    np.testing.assert_allclose(found.logits, logits, atol=1e-4)


CLICKS = [(48.0, 40.0), (3.0, 90.0), (95.5, 0.5), (20.0, 61.0), (70.0, 70.0), (33.0, 12.0), (10.0, 30.0)]


def test_one_click_equals_a_dense_pass(network: OneClickModel, image: Tensor, encoded: EncodedImage) -> None:
    found = ObjectFinder(network).find(encoded, [[click] for click in CLICKS])
    for click, answer in zip(CLICKS, found, strict=True):
        assert_same(answer, dense_answer(network, image, [click]))
    assert sum(answer is not None for answer in found) >= 3


def test_several_clicks_equal_a_dense_pass(
    network: OneClickModel, image: Tensor, encoded: EncodedImage
) -> None:
    groups = [CLICKS[:2], [(40.0, 40.0), (52.0, 44.0)], CLICKS[3:]]
    found = ObjectFinder(network).find(encoded, groups)
    for group, answer in zip(groups, found, strict=True):
        assert_same(answer, dense_answer(network, image, group))
    assert sum(answer is not None for answer in found) >= 1


def test_clicks_to_avoid_equal_a_dense_pass(
    network: OneClickModel, image: Tensor, encoded: EncodedImage
) -> None:
    changed = 0
    for click in CLICKS:
        first = ObjectFinder(network).find(encoded, [[click]])[0]
        if first is None:
            continue
        rows, columns = np.nonzero(first.logits > 0)
        far = np.argmax(np.hypot(columns + first.left - click[0] / 4, rows + first.top - click[1] / 4))
        avoid = [(4 * (columns[far] + first.left) + 2.0, 4 * (rows[far] + first.top) + 2.0)]
        answer = ObjectFinder(network).find(encoded, [[click]], avoid)[0]
        assert_same(answer, dense_answer(network, image, [click], avoid))
        assert answer is None or answer.value_at(*avoid[0]) <= 0
        changed += 1
    assert changed >= 3


def test_candidates_are_the_best_boxes_that_hold_a_click(
    network: OneClickModel, image: Tensor, encoded: EncodedImage
) -> None:
    for clicks in ([CLICKS[0]], [CLICKS[1]], CLICKS[3:5]):
        clicked = ClickedImage(encoded.pyramid, [clicks])
        found = find_candidates(network.heads, [clicked], [encoded.free], limit=50)[0][0]
        dense = dense_locations(network, image, clicks)
        order = plain_nms(dense["boxes"], dense["scores"], 0.6, 50)
        np.testing.assert_allclose(found.scores, dense["scores"][order], atol=1e-5)
        np.testing.assert_allclose(found.boxes, dense["boxes"][order], atol=1e-3)
        assert np.array_equal(found.points, dense["points"][order])
        assert np.array_equal(found.levels, dense["levels"][order])
        torch.testing.assert_close(found.kernels, dense["kernels"][order], atol=1e-4, rtol=1e-4)


def test_locations_beyond_the_windows_are_candidates_too(
    network: OneClickModel, image: Tensor, encoded: EncodedImage
) -> None:
    clicks = [CLICKS[1]]
    dense = dense_locations(network, image, clicks)
    order = plain_nms(dense["boxes"], dense["scores"], 0.6, 50)
    beyond = [index for index in order if not dense["near"][index]]
    assert beyond  # this click of this network has such candidates
    clicked = ClickedImage(encoded.pyramid, [clicks])
    with_free = find_candidates(network.heads, [clicked], [encoded.free], limit=50)[0][0]
    nothing = [no_locations(network.heads, torch.device("cpu"))] * 4
    without = find_candidates(network.heads, [clicked], [nothing], limit=50)[0][0]
    keys = {(dense["levels"][i], *dense["points"][i].tolist()) for i in beyond}
    found = [
        {(level, *point) for level, point in zip(c.levels.tolist(), c.points.tolist(), strict=True)}
        for c in (with_free, without)
    ]
    assert keys <= found[0]
    assert found[1]
    assert not keys & found[1]


def test_several_images_at_once_are_answered_as_one_by_one(
    network: OneClickModel, image: Tensor, encoded: EncodedImage
) -> None:
    finder = ObjectFinder(network, everywhere=True)
    lower = finder.encode(image[..., : SIDE - 32, :].flip(3), SIDE - 32, SIDE)
    questions = [(encoded, [[CLICKS[0]], CLICKS[3:5]]), (lower, []), (lower, [[c] for c in CLICKS])]
    together = finder.candidates_in(questions)
    assert [len(found) for found in together] == [2, 0, len(CLICKS)]
    assert finder.candidates_in([(encoded, []), (lower, [])]) == [[], []]
    assert any(together[0])
    assert any(together[2])
    for question, found in zip(questions, together, strict=True):
        for items, alone in zip(found, finder.candidates(*question), strict=True):
            for item, expected in zip(items, alone, strict=True):
                assert (item.top, item.left, item.clicks) == (expected.top, expected.left, expected.clicks)
                np.testing.assert_allclose(item.score, expected.score, atol=1e-5)
                np.testing.assert_allclose(item.logits, expected.logits, atol=1e-3)


def test_groups_do_not_see_each_other(network: OneClickModel, encoded: EncodedImage) -> None:
    together = ObjectFinder(network).find(encoded, [[click] for click in CLICKS])
    for click, answer in zip(CLICKS, together, strict=True):
        alone = ObjectFinder(network).find(encoded, [[click]])[0]
        assert (alone is None) == (answer is None)
        if alone is not None and answer is not None:
            assert alone.score == pytest.approx(answer.score, abs=1e-6)
            np.testing.assert_allclose(alone.logits, answer.logits, atol=1e-5)
    assert ObjectFinder(network).find(encoded, []) == []


def test_a_batch_equals_single_pictures_without_free_locations(
    network: OneClickModel, image: Tensor, encoded: EncodedImage
) -> None:
    batch = ObjectFinder(network).encode_batch(torch.cat([image.flip(3), image]))
    assert len(batch) == 2
    for level in range(4):
        torch.testing.assert_close(batch[1].pyramid[level], encoded.pyramid[level], atol=1e-5, rtol=1e-5)
        assert len(batch[1].free[level].scores) == 0
    torch.testing.assert_close(batch[1].mask_features, encoded.mask_features, atol=1e-5, rtol=1e-5)
    assert (batch[1].height, batch[1].width) == (SIDE, SIDE)


def test_nbytes_counts_every_tensor(network: OneClickModel, encoded: EncodedImage) -> None:
    cells = sum((SIDE // s) ** 2 for s in (4, 8, 16, 32)) * 16
    cells += (8 + 8 + 3) * (SIDE // 4) ** 2  # mask features, and those to draw from, which know their place
    free = sum(len(level.scores) for level in encoded.free)
    first = sum((SIDE // s) ** 2 for s in (8, 16, 32)) * 2 * network.config.head_channels
    assert encoded.nbytes == 4 * (cells + first) + free * (8 + 8 + 4 + 16 + 4 * 169)


# Candidates made by hand: kernels that give one value everywhere.


def scripted(
    monkeypatch: pytest.MonkeyPatch, *candidates: tuple[float, tuple[float, float, float, float], float]
) -> tuple[ObjectFinder, EncodedImage]:
    """A finder whose candidates are (score, box, mask logit), and an empty image of 160 × 160."""
    kernels = torch.zeros(len(candidates), 169)
    kernels[:, -1] = torch.tensor([value for _, _, value in candidates])
    fixed = Candidates(
        torch.tensor([score for score, _, _ in candidates]),
        torch.tensor([box for _, box, _ in candidates]).float(),
        torch.zeros(len(candidates), 2),
        torch.zeros(len(candidates), dtype=torch.long),
        kernels,
    )
    monkeypatch.setattr(
        finder, "find_candidates", lambda heads, images, free: [[fixed] * len(i.groups) for i in images]
    )
    return ObjectFinder(random_one_click()), EncodedImage([], torch.zeros(8, 40, 40), [], 160, 160)


def test_a_mask_lies_in_its_grown_box(monkeypatch: pytest.MonkeyPatch) -> None:
    tool, blank = scripted(monkeypatch, (0.9, (60, 40, 80, 50), 1.0))
    found = tool.find(blank, [[(70, 45)]])[0]
    assert found is not None
    # x: 60 - 4 = 56 is cell 14, less 2; 80 + 4 = 84 is cell 21, and 2 more. y: 38 → 9 - 2; 52 → 13 + 2
    assert (found.left, found.top, found.logits.shape) == (12, 7, (16 - 7, 24 - 12))
    assert found.clicks == ((70.0, 45.0),)


def test_a_mask_must_hold_the_click(monkeypatch: pytest.MonkeyPatch) -> None:
    box = (40, 40, 60, 60)
    tool, blank = scripted(monkeypatch, (0.9, box, -1.0), (0.8, box, 0.0), (0.7, box, 1.0), (0.6, box, 1.0))
    found = tool.find(blank, [[(50, 50)]])[0]
    assert found is not None
    assert found.score == pytest.approx(0.7)
    tool, blank = scripted(monkeypatch, (0.9, box, -1.0))
    assert tool.find(blank, [[(50, 50)], [(45, 45)]]) == [None, None]


def test_a_mask_that_holds_more_clicks_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    one, both = (20, 20, 30, 30), (20, 20, 100, 100)
    tool, blank = scripted(monkeypatch, (0.9, one, 1.0), (0.8, both, 1.0), (0.7, both, 1.0))
    found = tool.find(blank, [[(25, 25), (90, 90)]])[0]
    assert found is not None
    assert found.score == pytest.approx(0.8)
    found = tool.find(blank, [[(25, 25), (150, 150)]])[0]  # no mask holds both: the best that holds one
    assert found is not None
    assert found.score == pytest.approx(0.9)


def test_a_mask_must_not_hold_clicks_to_avoid(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (20, 20, 30, 30), (20, 20, 100, 100)
    tool, blank = scripted(monkeypatch, (0.9, large, 1.0), (0.5, small, 1.0))
    for avoid, score in (([], 0.9), ([(90, 90)], 0.5), ([(150, 150)], 0.9)):
        found = tool.find(blank, [[(25, 25)]], avoid)[0]
        assert found is not None
        assert found.score == pytest.approx(score)
    assert tool.find(blank, [[(25, 25)]], [(26, 26)]) == [None]


# Non-maximum suppression.


def test_nms_by_hand() -> None:
    # the second overlaps the first by 80/120, the third by 60/100 = 0.6 exactly, the fourth the second only
    boxes = torch.tensor([[0, 0, 10, 10], [2, 0, 12, 10], [0, 0, 6, 10], [3, 0, 13, 10]]).float()
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    assert nms(boxes, scores, 0.6, 10).tolist() == [0, 2, 3]
    assert nms(boxes, scores, 0.6, 2).tolist() == [0, 2]
    assert nms(boxes, -scores, 0.6, 10).tolist() == [3, 2, 0]
    assert nms(boxes[:0], scores[:0], 0.6, 10).tolist() == []


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_nms_equals_a_plain_loop(rng: np.random.Generator, threshold: float) -> None:
    corners, sides = rng.uniform(0, 60, (150, 2)), rng.uniform(5, 50, (150, 2))
    boxes, scores = np.concatenate([corners, corners + sides], 1), rng.permutation(150) / 150
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold, 1000).tolist()
    assert kept == plain_nms(boxes, scores, threshold, 1000)
    assert 5 < len(kept) < 100
