"""FocalClick's network, training and scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.recipes.build import build_schedule
from models.sizes import recipe_size
from models.systems.clicking.losses import normalised_focal_loss
from models.systems.clicking.scene import InteractiveScene
from models.systems.focalclick import FocalConfig, FocalNetwork
from models.systems.focalclick.network import FocalOutput, Refiner
from models.systems.focalclick.stepper import FocalStepper
from models.systems.focalclick.task import FocalTask, border_of, reduced, training_boxes
from models.systems.loading import load_compared
from tests.helpers.clicking import tiny_recipe
from tests.helpers.networks import BACKBONE, shake_norms
from tests.helpers.pictures import group_photo, write_group_split
from toolkit.clicks import Click
from toolkit.training import fit

MODEL = {
    "backbone_settings": BACKBONE,
    "head_channels": 16,
    "refiner_channels": 16,
    "input_size": 64,
    "focus_size": 64,
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_group_split(tmp_path_factory.mktemp("photos"))


def tiny(seed: int = 0, **changes) -> FocalNetwork:
    torch.manual_seed(seed)
    network = FocalNetwork(FocalConfig(**{**MODEL, **changes}))
    shake_norms(network)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("focalclick-hrnet-18s", 4.23),
        ("focalclick-hrnet-32", 31.0),
        ("focalclick-mit-b0", 3.74),
        ("focalclick-mit-b3", 45.6),
    ],
)
def test_the_published_sizes(name: str, millions: float) -> None:
    size = recipe_size(name)
    assert size.parameters / 1e6 == pytest.approx(millions, rel=0.005)
    assert size.published.startswith(f"{millions} M")
    assert 0 < size.further["the refiner alone"] < 0.1 * size.flops


@pytest.mark.parametrize(
    "backbone",
    [
        {"backbone": "hrnet-18s", "backbone_settings": {"width": 4}},
        {
            "backbone": "mit-b0",
            "backbone_settings": {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
        },
    ],
)
def test_published_backbones_run_forward_and_backward(backbone: dict) -> None:
    network = tiny(**backbone).train()
    pixels, points = torch.randint(0, 256, (2, 3, 64, 64)), torch.tensor([[[20.5, 30.5, 1.0]]] * 2)
    coarse = network(pixels, points, torch.zeros(2, 1, 64, 64))
    refined = network.refine(pixels, points, coarse, torch.tensor([[8.0, 8, 40, 56]] * 2))
    assert refined.logits.shape == refined.border.shape == (2, 1, 64, 64)
    auxiliary = 0 if coarse.auxiliary is None else coarse.auxiliary.mean()
    (coarse.logits.mean() + refined.logits.mean() + auxiliary).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]


def test_the_coarse_mask_stays_where_there_is_no_border() -> None:
    refiner = Refiner(8, 16).eval()
    torch.nn.init.zeros_(refiner.outputs.weight)
    coarse = torch.randn(1, 1, 32, 32)
    given = (torch.randn(1, 3, 32, 32), torch.zeros(1, 2, 32, 32), torch.randn(1, 8, 8, 8), coarse)
    with torch.no_grad():
        refiner.outputs.bias.copy_(torch.tensor([7.0, -60.0]))
        assert torch.allclose(refiner(*given).logits, coarse)
        refiner.outputs.bias.copy_(torch.tensor([7.0, 60.0]))
        assert torch.allclose(refiner(*given).logits, torch.full_like(coarse, 7.0))
        refiner.outputs.bias.copy_(torch.tensor([7.0, 0.0]))
        assert torch.allclose(refiner(*given).logits, (coarse + 7) / 2)


def test_focus_crops_show_the_segmentors_features_there() -> None:
    network = tiny()
    ramp = torch.arange(16.0).view(1, 1, 1, 16).expand(1, 16, 16, 16)  # features at stride 4: column index
    seen: list[torch.Tensor] = []
    network.refiner.known.register_forward_hook(lambda module, given, output: seen.append(given[0]))
    known = FocalOutput(torch.zeros(1, 1, 64, 64), ramp, None)
    with torch.no_grad():
        network.refine(
            torch.zeros(1, 3, 64, 64), torch.zeros(1, 0, 3), known, torch.tensor([[16.0, 0, 48, 32]])
        )
    # 16 cells over the pixels 16…48: pixel 16 + (j + ½) · 2 is the feature (that / 4) - ½
    expected = (16 + (torch.arange(16) + 0.5) * 2) / 4 - 0.5
    assert torch.allclose(seen[0][0, 0, 5], expected, atol=1e-5)


def test_the_border_is_what_an_eightfold_reduction_loses() -> None:
    straight = torch.zeros(1, 1, 32, 32)
    straight[..., :16] = 1  # along the cells: nothing is lost
    assert border_of(straight).sum() == 0
    speck = torch.zeros(1, 1, 32, 32)
    speck[0, 0, 10:12, 10:12] = 1  # vanishes altogether
    assert torch.equal(border_of(speck), speck)


def test_focus_crops_of_training_lie_on_the_object() -> None:
    target = torch.zeros(2, 1, 64, 64)
    target[0, 0, 20:40, 16:32] = 1
    torch.manual_seed(0)
    for _ in range(30):
        loose = training_boxes(target, on_border=0.0)
        x1, y1, x2, y2 = loose[0].tolist()
        assert x1 + x2 == pytest.approx(48)
        assert y1 + y2 == pytest.approx(60)
        assert 1.1 * 16 <= x2 - x1 <= 2 * 16
        assert (y2 - y1) / (x2 - x1) == pytest.approx(20 / 16)
        assert loose[1].tolist() == [0, 0, 64, 64]
        x1, y1, x2, y2 = training_boxes(target, on_border=1.0)[0].tolist()
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        assert min(abs(x - 16.5), abs(x - 31.5), abs(y - 20.5), abs(y - 39.5)) < 1e-4
        assert x2 - x1 >= 0.3 * 20 - 0.01
        assert x2 - x1 <= 0.8 * 20 + 0.01


def test_pictures_are_reduced_for_the_segmentor(photos: Path) -> None:
    task = FocalTask(tiny_recipe(photos, "focalclick", model=MODEL))
    batch = task.collate([task.sample(index) for index in range(2)])
    small = reduced(batch, 48)
    assert small.image.shape == (2, 3, 48, 48)
    assert small.image.dtype == torch.uint8
    present = batch.points[..., 2] >= 0
    assert torch.allclose(small.points[present][:, :2], batch.points[present][:, :2] / 2)
    assert small.target.mean().item() == pytest.approx(batch.target.mean().item(), rel=0.2)
    assert reduced(batch, 96) is batch


def test_the_losses_add_up(photos: Path) -> None:
    recipe = tiny_recipe(photos, "focalclick", model=MODEL, clicks={"rollouts": 0},
                         training={"border_weight": 0.5, "border_emphasis": 0.0})  # fmt: skip
    task = FocalTask(recipe)
    task.model.eval()
    batch = task.collate([task.sample(index) for index in range(2)])
    torch.manual_seed(3)
    with torch.no_grad():
        losses = task.losses(task.model, batch)
        small = reduced(batch, 64)
        output = task.model(small.image, small.points, torch.zeros_like(small.target))
    assert losses["coarse"] == normalised_focal_loss(output.logits, small.target)
    total = losses["coarse"] + losses["refined"] + 0.5 * losses["border"]
    assert losses["total"].item() == pytest.approx(total.item(), rel=1e-6)


def test_emphasis_multiplies_costs_but_not_the_divisor() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(1, 1, 4, 4), (torch.rand(1, 1, 4, 4) > 0.5).float()
    plain = normalised_focal_loss(logits, target)
    double = normalised_focal_loss(logits, target, emphasis=torch.full_like(target, 2.0))
    assert double.item() == pytest.approx(2 * plain.item(), rel=1e-6)


@pytest.mark.slow
def test_a_short_training_lowers_the_losses_and_its_weights_answer_clicks(
    photos: Path, tmp_path: Path
) -> None:
    schedule = {"steps": 40, "batch_size": 4, "lr": 5e-3, "warmup_steps": 0, "workers": 0}
    recipe = tiny_recipe(photos, "focalclick", model=MODEL, schedule=schedule)
    task = FocalTask(recipe)

    def losses() -> dict[str, torch.Tensor]:
        batch = task.collate([task.sample(index) for index in range(4)])
        torch.manual_seed(1)
        task.model.eval()
        with torch.no_grad():
            return task.losses(task.model, batch)

    before = losses()
    result = fit(task, build_schedule(recipe.schedule), tmp_path, resume=False)
    after = losses()
    assert after["coarse"] < 0.8 * before["coarse"]
    assert after["refined"] < 0.8 * before["refined"]
    loaded = load_compared(result["final"], device="cpu")
    assert loaded is not None
    assert loaded.name == "focalclick"
    scene = loaded.encode(group_photo(np.random.default_rng(0))[0])
    assert scene.width == 96
    scene.segment([Click(16.5, 16.5), Click(50.5, 50.5, positive=False)])


def test_scenes_are_stateless_and_cover_the_photo() -> None:
    image, _ = group_photo(np.random.default_rng(3), size=96)
    stepper = FocalStepper(tiny(mask_threshold=0.4, merge_after=2))
    clicks = [Click(30.5, 30.5), Click(60.5, 30.5), Click(20.5, 70.5, positive=False), Click(80.5, 80.5)]
    alone = [InteractiveScene(image, stepper).segment(clicks[:count]) for count in range(1, 5)]
    scene = InteractiveScene(image, stepper)
    for count in (3, 1, 4, 2):
        found, expected = scene.segment(clicks[:count]), alone[count - 1]
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.mask.shape == (96, 96)
            assert np.array_equal(found.mask, expected.mask)


def test_late_clicks_change_only_the_piece_they_lie_on() -> None:
    image, _ = group_photo(np.random.default_rng(3), size=96)
    clicks = [Click(30.5, 30.5), Click(60.5, 60.5)]
    early = FocalStepper(tiny(mask_threshold=0.4, merge_after=10))
    late = FocalStepper(tiny(mask_threshold=0.4, merge_after=1))
    (first,) = early.first(image, clicks[:1])
    before = first.mask(96, 96)
    free = early.following(image, clicks, first).mask(96, 96)
    merged = late.following(image, clicks, first).mask(96, 96)
    changed = merged ^ before
    assert not (changed & ~(free ^ before)).any()  # nothing but what the network changed
    assert not changed.any() or changed[60, 60]
