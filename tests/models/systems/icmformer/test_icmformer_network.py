from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.recipes import read_recipe
from models.systems.clicking.system import InteractiveSystem
from models.systems.icmformer import SYSTEM, IcmformerConfig, IcmformerNetwork, IcmformerStepper
from models.systems.icmformer.stepper import TOKENS
from models.systems.loading import load_compared
from toolkit.clicks import Click

TINY = {
    "width": 16, "heads": 2, "mlp_ratio": 2, "represent_blocks": 1, "cross_blocks": 1, "fuse_blocks": 1,
    "stem_settings": {"stem": 4, "widths": [4, 8, 8, 8], "depths": [1, 1, 1, 1]}, "positions": 4, "patch": 8,
    "level_channels": [4, 4, 4], "head_channels": 4, "input_size": 64, "first_size": 96,
}  # fmt: skip


def tiny(**changes: object) -> IcmformerNetwork:
    torch.manual_seed(0)
    return IcmformerNetwork(IcmformerConfig(**{**TINY, **changes})).eval()  # type: ignore[arg-type]


def inputs(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    image = torch.randint(0, 256, (batch, 3, 64, 96), dtype=torch.uint8)
    points = torch.tensor([[[10.5, 20.5, 1.0], [50.5, 30.5, 0.0]]]).repeat(batch, 1, 1)
    return image, points, torch.rand(batch, 1, 64, 96)


@pytest.mark.parametrize("changes", [{}, {"queries": "clicks"}, {"stem": "patch", "window": 4}])
def test_logits_cover_the_picture_and_heed_every_input(changes: dict[str, object]) -> None:
    network = tiny(**changes)
    image, points, previous = inputs()
    with torch.no_grad():
        logits = network(image, points, previous)
        assert logits.shape == (2, 1, 64, 96)
        moved = points.clone()
        moved[:, 0, :2] += 20
        for other in (
            (image.flip(3), points, previous),
            (image, moved, previous),
            (image, points, 1 - previous),
        ):
            assert not torch.allclose(network(*other), logits, atol=1e-5)


def test_kept_tokens_give_the_same_mask() -> None:
    network = tiny()
    image, points, previous = inputs()
    with torch.no_grad():
        tokens = network.represent(image[:1])
        assert tokens.shape == (1, 8 * 12, 16)
        one_photo = image[:1].expand(2, -1, -1, -1)
        torch.testing.assert_close(
            network(one_photo, points, previous, tokens), network(one_photo, points, previous)
        )


def test_the_photo_is_represented_once_per_view(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny(zoom_in=False)
    runs = []
    plain = network.represent
    monkeypatch.setattr(network, "represent", lambda image: runs.append(len(image)) or plain(image))
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    scene = InteractiveSystem("icmformer", IcmformerStepper(network), network).encode(image)
    clicks = [Click(20, 20), Click(40, 30, positive=False), Click(10, 30)]
    last = scene.segment(clicks)
    assert runs == [1]
    fresh = InteractiveSystem("icmformer", IcmformerStepper(network), network).encode(image).segment(clicks)
    assert (last is None) == (fresh is None)
    if last is not None and fresh is not None:
        np.testing.assert_array_equal(last.mask, fresh.mask)
    scene.segment_each([Click(5, 5), Click(20, 20), Click(60, 40)])
    assert runs[0] == 1
    assert runs[-1] == 1  # two new first clicks share one pass
    assert scene._kept((Click(5, 5),)).kept[TOKENS].shape == (1, 96, 16)


def test_saved_weights_come_back(tmp_path: Path) -> None:
    network = tiny()
    network.save_pretrained(tmp_path)
    system = load_compared(str(tmp_path), "cpu")
    assert system is not None
    assert system.name == "icmformer"
    image, points, previous = inputs()
    with torch.no_grad():
        torch.testing.assert_close(system.network(image, points, previous), network(image, points, previous))


@pytest.mark.parametrize("name", ["icmformer-b-sbd", "icmformer-b-lvis"])
def test_the_published_size_has_the_published_parameters(name: str) -> None:
    recipe = read_recipe(name)
    with torch.device("meta"):
        network = IcmformerNetwork(IcmformerConfig(**recipe.model))
    count = sum(p.numel() for p in network.parameters())
    assert count == pytest.approx(124.81e6, rel=0.02)  # iCMFormer++, table 10
    # ViT-B's twelve blocks, by hand: 4 · (768² + 768) + 8 · 768² + 5 · 768 + 4 · 768
    assert sum(p.numel() for p in network.backbone.blocks.parameters()) == 12 * 7_087_872
    assert recipe.model["square"]
    assert SYSTEM.published[name].startswith("124.81 M")


@pytest.mark.slow
def test_the_published_size_learns_from_a_small_picture() -> None:
    network = IcmformerNetwork(IcmformerConfig(**read_recipe("icmformer-b-sbd").model))
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    logits = network.train()(
        image.expand(2, -1, -1, -1), torch.tensor([[[8.5, 8.5, 1.0]]] * 2), torch.zeros(2, 1, 64, 64)
    )
    logits.square().mean().backward()
    assert logits.shape == (2, 1, 64, 64)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
