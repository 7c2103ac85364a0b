"""CPN and PVM that read the backbone's own maps beside the pyramid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.cpn import ProposalModel
from models.initial_weights import initial_weights
from models.pvm import VerificationModel
from models.roi_align import roi_align, square_boxes
from models.selector import Selector
from models.stages import StageProjections, misfit
from tests.helpers.networks import CHANNELS, random_cpn, random_one_click, random_pvm, save_selector
from toolkit.clicks import Click
from toolkit.errors import InputError

STAGES = [16, 16]  # channels of C3 and C4 of `random_one_click`
BOXES = torch.tensor([[8.0, 8.0, 40.0, 24.0], [48.0, 16.0, 56.0, 60.0]])


def lively(network: ProposalModel | VerificationModel, seed: int = 5) -> None:
    """As after training: the projections add something."""
    assert network.stages is not None
    torch.manual_seed(seed)
    for conv in network.stages.convs:
        nn.init.normal_(conv.weight, std=0.3)
    for norm in network.stages.norms:
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)


def maps(channels: list[int], strides: tuple[int, ...], seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(1, own, 64 // stride, 96 // stride, generator=generator)
        for own, stride in zip(channels, strides, strict=True)
    ]


@pytest.fixture(scope="module")
def pyramid() -> list[Tensor]:
    return maps([CHANNELS] * 4, (4, 8, 16, 32), seed=0)


@pytest.fixture(scope="module")
def stages() -> list[Tensor]:
    return maps(STAGES, (8, 16), seed=1)


def masks() -> Tensor:
    filled = torch.zeros(len(BOXES), 16, 24)
    for mask, (x1, y1, x2, y2) in zip(filled, (BOXES / 4).long().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    return filled


def test_a_projection_by_hand() -> None:
    network = StageProjections([1], 2).eval()
    value = torch.full((1, 1, 2, 3), 7.0)
    assert torch.equal(network([value])[0], torch.zeros(1, 2, 2, 3))
    norm, conv = network.norms[0], network.convs[0]
    with torch.no_grad():
        norm.running_mean.fill_(3)
        norm.running_var.fill_(4)
        conv.weight[:, 0, 0, 0] = torch.tensor([1.0, -0.5])
        conv.bias.copy_(torch.tensor([0.0, 1.0]))  # type: ignore[union-attr]
        added = network([value])[0]
    # (7 - 3) / 2 = 2; times the weights, plus the biases, three times
    torch.testing.assert_close(added[0, :, 1, 2], torch.tensor([6.0, 0.0]), atol=1e-4, rtol=0)


@torch.no_grad()
def test_cpn_reads_p3_and_p4_with_what_the_stages_add(pyramid: list[Tensor], stages: list[Tensor]) -> None:
    network, plain = random_cpn(stage_channels=STAGES), random_cpn()
    shared = {n: w for n, w in network.state_dict().items() if not n.startswith("stages.")}
    plain.load_state_dict(shared)
    before = network([*pyramid], [masks()], [BOXES], stages=stages)
    torch.testing.assert_close(before, plain(pyramid, [masks()], [BOXES]))  # zeros at first
    lively(network)
    assert network.stages is not None
    c3, c4 = network.stages(stages)
    together = [pyramid[0], pyramid[1] + c3, pyramid[2] + c4, pyramid[3]]
    after = network(pyramid, [masks()], [BOXES], stages=stages)
    torch.testing.assert_close(after, plain(together, [masks()], [BOXES]))
    assert float((after - before).abs().max()) > 1e-2


@torch.no_grad()
def test_pvm_reads_p2s_patches_with_what_the_stages_add(pyramid: list[Tensor], stages: list[Tensor]) -> None:
    network, plain = random_pvm(stage_channels=STAGES), random_pvm()
    plain.load_state_dict({n: w for n, w in network.state_dict().items() if not n.startswith("stages.")})
    image = torch.rand(3, 64, 96) * 255
    feature, given = pyramid[0][0], [stage[0] for stage in stages]
    cut = network.gather(image, feature, masks(), BOXES, given)
    assert cut.features.shape == (2, CHANNELS + sum(STAGES), 4, 4)
    seen = plain.gather(image, feature, masks(), BOXES)
    torch.testing.assert_close(network(cut), plain(seen))
    lively(network)
    assert network.stages is not None
    squares = square_boxes(BOXES)
    added = network.stages([roi_align(one, squares, s, 4) for one, s in zip(given, (8, 16), strict=True)])
    expected = plain(type(seen)(seen.patches, seen.features + added[0] + added[1], seen.coverage, seen.sides))
    torch.testing.assert_close(network(cut), expected, atol=1e-5, rtol=1e-5)
    assert float((network(cut) - plain(seen)).abs().max()) > 1e-3


def save_reading_selector(folder: Path) -> Path:
    save_selector(folder)
    proposals, verification = random_cpn(stage_channels=STAGES), random_pvm(stage_channels=STAGES)
    nn.init.constant_(proposals.bias, 0.0)  # confidences around a half
    for name, network in (("cpn", proposals), ("pvm", verification)):
        lively(network)
        network.save_pretrained(folder / name)
    return folder


def test_a_selector_keeps_the_stages_where_they_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    photo = rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)
    plain = Selector.load(save_selector(tmp_path / "plain"), device="cpu", working_sizes=(128,))
    assert plain.encode(photo).views[0].encoded.stages == ()
    reading = Selector.load(save_reading_selector(tmp_path / "reading"), device="cpu", working_sizes=(128,))
    scene = reading.encode(photo)
    encoded = scene.views[0].encoded
    assert [tuple(one.shape) for one in encoded.stages] == [(16, 12, 16), (16, 6, 8)]
    found = scene.select_similar(Click(60, 45))
    again = reading.scene_from_arrays(reading.scene_arrays(scene))
    for before, after in zip(encoded.stages, again.views[0].encoded.stages, strict=True):
        torch.testing.assert_close(before, after, atol=1e-2, rtol=1e-2)
    assert len(again.select_similar(Click(60, 45))) == len(found) > 1
    exemplar = scene.views[0].find([[(60.0, 45.0)]])[0]
    assert exemplar is not None
    own, other = (s.encode(photo).views[0].heatmap([exemplar]) for s in (reading, plain))
    assert float((own - other).abs().max()) > 1e-3
    random_cpn(stage_channels=[8, 8]).save_pretrained(tmp_path / "odd")
    with pytest.raises(InputError, match="features of 16 channels and backbone maps of 16 and 16"):
        reading.with_network(str(tmp_path / "odd"))
    assert reading.with_network(str(tmp_path / "plain" / "cpn")).models.read_stages  # PVM still does


def test_networks_must_fit_the_one_click_network() -> None:
    assert misfit(random_cpn(), random_one_click()) is None
    assert misfit(random_pvm(stage_channels=STAGES), random_one_click()) is None
    assert misfit(random_pvm(feature_channels=8), random_one_click()) == "features of 16 channels"


@pytest.mark.parametrize("make", [random_cpn, random_pvm])
def test_going_on_from_weights_that_read_no_stages(make, tmp_path: Path) -> None:
    source = make()
    source.save_pretrained(tmp_path)
    network = make(seed=1, stage_channels=STAGES)
    network.load_state_dict(dict(initial_weights(network, tmp_path)))
    weights = network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in source.state_dict().items())
    assert float(weights["stages.convs.1.weight"].abs().max()) == 0


def test_a_set_whose_networks_do_not_fit_is_refused(tmp_path: Path) -> None:
    save_selector(tmp_path)
    random_pvm(stage_channels=[8, 16]).save_pretrained(tmp_path / "pvm")
    with pytest.raises(InputError, match="pvm: expected a network for features of 16 channels and backbone"):
        Selector.load(tmp_path, device="cpu")
    random_cpn(feature_channels=8).save_pretrained(tmp_path / "cpn")
    with pytest.raises(InputError, match=r"cpn: expected a network for features of 16 channels$"):
        Selector.load(tmp_path, device="cpu")
