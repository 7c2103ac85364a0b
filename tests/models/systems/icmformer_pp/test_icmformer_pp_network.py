from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.recipes import read_recipe
from models.systems.icmformer_pp import SYSTEM, ExemplarInput, IcmformerPPConfig, IcmformerPPNetwork
from models.systems.loading import load_compared
from tests.helpers.masks import disk
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.exemplars import Exemplar
from toolkit.systems import ExemplarScene

STEM = {"stem": 4, "widths": [4, 8, 8, 8], "depths": [1, 1, 1, 1]}
TINY = {
    "width": 16, "heads": 2, "mlp_ratio": 2, "represent_blocks": 1, "branch_blocks": 1, "cross_blocks": 1,
    "fuse_blocks": 1, "stem_settings": STEM, "likeness_settings": STEM, "likeness_channels": 8,
    "patch_side": 32, "positions": 4, "patch": 8, "level_channels": [4, 4, 4],
    "head_channels": 4, "input_size": 64, "first_size": 64,
}  # fmt: skip


def tiny(**changes: object) -> IcmformerPPNetwork:
    torch.manual_seed(0)
    return IcmformerPPNetwork(IcmformerPPConfig(**{**TINY, **changes})).eval()  # type: ignore[arg-type]


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    points = torch.tensor([[[10.5, 20.5, 1.0], [50.5, 30.5, 0.0]]] * 2)
    return image, points, torch.zeros(2, 1, 64, 64)


def exemplars() -> ExemplarInput:
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, 0, 40:60, 8:24] = 1
    points = torch.tensor([[[16.0, 50.0, 1.0], [20.0, 44.0, 1.0], [40.0, 50.0, 0.0], [40.0, 9.0, 0.5]]] * 2)
    return ExemplarInput(mask, points, torch.tensor([[8.0, 40.0, 24.0, 60.0]] * 2))


ROWS = [  # of table 5
    {"cross_attention": False, "fusion": "sum"},
    {"fusion": "sum", "exemplar_informed": False},
    {"fusion": "self", "exemplar_informed": False},
    {"fusion": "self"},
    {"exemplar_informed": False},
    {},
]


@pytest.mark.parametrize("changes", [*ROWS, {"exemplar_image": "masked"}, {"exemplar_image": "none"}])
def test_every_ablation_answers_and_learns(changes: dict[str, object]) -> None:
    network = tiny(**changes).train()
    logits = network(*inputs(), exemplars())
    assert logits.shape == (2, 1, 64, 64)
    logits[:, :, :32].square().mean().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None}
    assert not idle
    assert (network.likeness is None) == (
        not changes.get("exemplar_informed", True) or not changes.get("cross_attention", True)
    )


def test_switches_change_the_parts() -> None:
    def count(**changes: object) -> dict[str, int]:
        parts: dict[str, int] = {}
        for name, p in tiny(**changes).named_parameters():
            parts[name.split(".")[0]] = parts.get(name.split(".")[0], 0) + p.numel()
        return parts

    full = count()
    assert {"fusion", "likeness", "cross"} <= full.keys()
    assert "fuse_blocks" not in full
    assert "fusion" not in count(fusion="self")
    assert count(fusion="self")["fuse_blocks"] == full["exemplar_blocks"]
    assert "likeness" not in count(exemplar_informed=False)
    assert "cross" not in count(cross_attention=False)


@pytest.mark.parametrize(
    ("changes", "mask", "point", "heeded"),
    [
        ({}, True, None, True),
        ({"exemplar_mask": False, "exemplar_informed": False}, True, None, False),
        ({"exemplar_informed": False}, False, 1, True),  # the second positive click
        ({"exemplar_informed": False, "exemplar_positives": "first"}, False, 1, False),
        ({"exemplar_informed": False}, False, 2, True),  # the true negative click
        ({"exemplar_informed": False, "exemplar_negatives": "none"}, False, 2, False),
        ({"exemplar_informed": False}, False, 3, False),  # the pseudo negative one
        ({"exemplar_informed": False, "exemplar_negatives": "all"}, False, 3, True),
    ],
)
def test_what_of_an_exemplar_is_seen(
    changes: dict[str, object], mask: bool, point: int | None, heeded: bool
) -> None:
    network, given, here = tiny(**changes), inputs(), exemplars()
    other_mask, points = here.mask.clone(), here.points.clone()
    if mask:
        other_mask[:, :, 50:] = 0
    if point is not None:
        points[:, point, 2] = -1
    other = ExemplarInput(other_mask, points, here.boxes)
    with torch.no_grad():
        outside = here.mask < 0.5
        first, second = network(*given, here)[outside], network(*given, other)[outside]
    assert torch.allclose(first, second, atol=1e-6) is not heeded


def test_the_exemplar_itself_is_ruled_out() -> None:
    network = tiny()
    here = exemplars()
    with torch.no_grad():
        logits = network(*inputs(), here)
    assert (logits[here.mask > 0.5].sigmoid() < 1e-6).all()
    assert (logits[here.mask < 0.5] > -15).all()


def test_an_encoded_exemplar_gives_the_same_mask() -> None:
    network, given, here = tiny(), inputs(), exemplars()
    with torch.no_grad():
        encoded = network.encode_exemplar(given[0], here)
        assert network.likeness is not None
        features = network.likeness.features(network.normalise(given[0]))
        torch.testing.assert_close(network(*given, encoded, features), network(*given, here))


def test_pretrained_weights_fill_both_branches_alike(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    ViTModel(ViTConfig(image_size=32, patch_size=8, **sizes)).save_pretrained(tmp_path)
    network = tiny(stem="patch")
    network.load_backbone(str(tmp_path))
    recall, exemplar = network.backbone.blocks[1].state_dict(), network.exemplar_blocks[0].state_dict()
    assert all(torch.equal(recall[name], exemplar[name]) for name in recall)


def photo_and_exemplar() -> tuple[np.ndarray, Exemplar]:
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    return image, Exemplar(disk(60, 80, 20, 20, 9), (Click(20, 20), Click(40, 40, positive=False)))


def test_the_loaded_system_answers_with_and_without_exemplars(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    system = load_compared(str(tmp_path), "cpu")
    assert system is not None
    assert system.name == "icmformer-pp"
    image, exemplar = photo_and_exemplar()
    scene = system.encode(image)
    assert isinstance(scene, ExemplarScene)
    assert scene.recalls == "all"
    clicks = [Click(60, 30), Click(10, 50, positive=False)]
    plain, unhelped = scene.segment(clicks), scene.segment_like(clicks, [])
    assert plain is not None
    np.testing.assert_array_equal(plain.mask, unhelped.mask)
    helped = scene.segment_like(clicks, [exemplar])
    assert helped is not None
    assert (helped.mask != plain.mask).any()
    # ruled out at the network's resolution: a pixel along the border may be split
    assert not (helped.mask & disk(60, 80, 20, 20, 7)).any()
    again = system.encode(image).segment_like(clicks, [exemplar])
    np.testing.assert_array_equal(helped.mask, again.mask)
    both = scene.segment_like(clicks, [exemplar, Exemplar(disk(60, 80, 60, 50, 6), (Click(60, 50),))])
    assert both is None or (both.mask != helped.mask).any()
    assert scene.nbytes > image.nbytes


def test_what_an_exemplar_costs_is_paid_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny()
    runs = []
    plain = network.exemplar_tokens
    monkeypatch.setattr(network, "exemplar_tokens", lambda *given: runs.append(1) or plain(*given))
    image, exemplar = photo_and_exemplar()
    scene = SYSTEM.scene(image, SYSTEM.stepper(network))
    scene.segment_like([Click(60, 30)], [exemplar])
    scene.segment_like([Click(60, 30), Click(70, 40)], [exemplar])
    scene.segment_like([Click(60, 30), Click(70, 40), Click(1, 1, positive=False)], [exemplar])
    assert len(runs) == 1


def test_an_exemplar_of_another_photo_is_refused() -> None:
    image, _ = photo_and_exemplar()
    scene = SYSTEM.scene(image, SYSTEM.stepper(tiny()))
    with pytest.raises(InputError, match="exemplar: its mask"):
        scene.segment_like([Click(5, 5)], [Exemplar(np.zeros((10, 10), bool))])


def test_the_published_size_has_the_published_parameters() -> None:
    recipe = read_recipe("icmformer-pp-b-mois")
    with torch.device("meta"):
        network = IcmformerPPNetwork(IcmformerPPConfig(**recipe.model))
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(178.73e6, rel=0.02)  # table 10
    assert network.fusion is not None
    assert sum(p.numel() for p in network.fusion.parameters()) == pytest.approx(2.96e6, rel=0.001)


@pytest.mark.slow
def test_the_published_size_learns_from_a_small_picture() -> None:
    network = IcmformerPPNetwork(IcmformerPPConfig(**read_recipe("icmformer-pp-b-mois").model)).train()
    logits = network(*inputs(), exemplars())
    logits[:, :, :32].square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
