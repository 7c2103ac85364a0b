"""Loading networks and encoding photos of every shape."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.encoding import pad
from models.ids import SelectionConfig
from models.one_click.finder import ObjectFinder
from models.selector import Selector
from models.view import SelectionModels
from tests.helpers.networks import eager_one_click, folded, random_cpn, save_selector
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.systems import GroupScene


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_selector(tmp_path_factory.mktemp("selector"))


@pytest.fixture(scope="module")
def selector(folder: Path) -> Selector:
    return Selector.load(folder, device="cpu", working_sizes=(128,))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_folder_of_three_networks(selector: Selector) -> None:
    models = selector.models
    assert models.proposals is not None
    assert models.verification is not None
    ours = folded(eager_one_click())
    for network in (models.finder.model, models.proposals, models.verification):
        assert not network.training
        assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert all(torch.equal(value, ours[name]) for name, value in models.finder.model.state_dict().items())


def test_a_folder_that_is_a_1c_dsn_itself(folder: Path) -> None:
    selector = Selector.load(str(folder / "one-click"), working_sizes=(128,))
    assert selector.models.proposals is None
    scene = selector.encode(noise(100, 120))
    single = scene.segment([Click(60, 50)])
    alone = scene.select_similar(Click(60, 50))
    assert single is not None
    assert len(alone) == 1
    assert np.array_equal(alone[0].mask, single.mask)
    with pytest.raises(InputError, match="no click proposal network"):
        scene.views[0].heatmap([])


@pytest.mark.parametrize("source", ["nowhere/at/all", "no-such/repository", "/dev/null"])
def test_no_weights(source: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 1C-DSN there; expected a folder or hub id"):
        Selector.load(source)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 1C-DSN there"):
        Selector.load(tmp_path)


def test_the_weights_of_another_network(tmp_path: Path) -> None:
    random_cpn().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="model_type declutter-cpn, expected declutter-one-click"):
        Selector.load(tmp_path)


def test_damaged_weights(tmp_path: Path) -> None:
    eager_one_click().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    tensors.pop("heads.scales")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 parameters, such as heads\.scales"):
        Selector.load(tmp_path)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match="can't load the network"):
        Selector.load(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match="can't load the network"):
        Selector.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="can't load the network"):
        Selector.load(tmp_path)


def test_half_precision_weights_load_as_float32(tmp_path: Path) -> None:
    network = eager_one_click()
    network.half().save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "float16"
    loaded = Selector.load(tmp_path, device="cpu", working_sizes=(64,))
    halves = folded(network.float())
    for name, value in loaded.models.finder.model.state_dict().items():
        assert value.dtype == (torch.float32 if value.is_floating_point() else torch.int64)
        assert torch.equal(value, halves[name])
    assert loaded.encode(noise(40, 40)).segment([Click(20, 20)]) is not None


@pytest.mark.parametrize(
    ("height", "width", "scale", "rows", "columns"),
    [
        (1, 1, 2.0, 32, 32),
        (5, 700, 128 / 700, 32, 128),
        (700, 5, 128 / 700, 128, 32),
        (3, 5000, 128 / 5000, 32, 128),
        (48, 64, 2.0, 96, 128),
        (64, 128, 1.0, 64, 128),
        (96, 127, 128 / 127, 128, 128),
        (1500, 2000, 0.064, 96, 128),
    ],
)
def test_photos_of_any_size(
    selector: Selector, height: int, width: int, scale: float, rows: int, columns: int
) -> None:
    scene = selector.encode(noise(height, width))
    assert isinstance(scene, GroupScene)
    assert (scene.height, scene.width) == (height, width)
    (view,) = scene.views
    assert view.scale == pytest.approx(scale)
    assert view._image.shape == (3, rows, columns)  # multiples of 32
    for x, y in ((0, 0), (width / 2, height / 2), (np.nextafter(width, 0), np.nextafter(height, 0))):
        found = scene.segment([Click(x, y)])
        assert found is not None
        assert found.mask.shape == (height, width)
        assert found.mask.dtype == bool
        assert 0 < found.score <= 1
    siblings = scene.select_similar(Click(width / 2, height / 2))
    assert siblings
    assert all(i.mask.shape == (height, width) for i in siblings)


def test_grey_and_uniform_photos(selector: Selector) -> None:
    grey = np.repeat(noise(60, 70)[..., :1], 3, axis=2)
    for image in (grey, np.zeros_like(grey), np.full_like(grey, 255)):
        found = selector.encode(image).segment([Click(30, 30)])
        assert found is not None
        assert np.isfinite(found.score)


def test_the_memory_layout_does_not_matter(selector: Selector) -> None:
    image = noise(64, 128)
    expected = selector.encode(image).views[0].encoded
    mirrored = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    frozen = image.copy()
    frozen.setflags(write=False)
    for other in (np.asfortranarray(image), mirrored, frozen):
        encoded = selector.encode(other).views[0].encoded
        for a, b in zip(encoded.pyramid, expected.pyramid, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("height", "width", "sides"),
    [
        (300, 400, [(64, 64 / 400), (128, 128 / 400)]),
        (20, 48, [(64, 64 / 48), (96, 2.0)]),
        (9, 16, [(32, 2.0)]),
    ],
)
def test_several_working_sizes(
    selector: Selector, height: int, width: int, sides: list[tuple[int, float]]
) -> None:
    """One view each, smallest first; sizes that would enlarge the photo more than twice are one view."""
    several = Selector(selector.models, working_sizes=(128, 64))
    scene = several.encode(noise(height, width))
    assert [view.encoded.width for view in scene.views] == [side for side, _ in sides]
    assert [view.scale for view in scene.views] == pytest.approx([scale for _, scale in sides])


def test_the_fingerprint_names_weights_and_settings(folder: Path, selector: Selector) -> None:
    same = Selector.load(folder, device="cpu", working_sizes=(128,))
    assert same.fingerprint == selector.fingerprint
    others = [
        Selector.load(folder, device="cpu", working_sizes=(64, 128)),
        Selector.load(folder, device="cpu", working_sizes=(128,), config=SelectionConfig(rounds=1)),
        Selector.load(folder / "one-click", device="cpu", working_sizes=(128,)),
        Selector.load(folder, device="cpu", working_sizes=(128,)),
    ]
    with torch.no_grad():
        others[-1].models.finder.model.heads.scales[2] += 1e-6
    prints = {selector.fingerprint, *(other.fingerprint for other in others)}
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((8, 8), np.uint8), r"uint8 \[8, 8\]"),
        (np.zeros((8, 8, 4), np.uint8), r"uint8 \[8, 8, 4\]"),
        (np.zeros((8, 8, 3), np.float32), r"float32 \[8, 8, 3\]"),
        (np.zeros((3, 8, 8), np.uint8), r"uint8 \[3, 8, 8\]"),
        (np.zeros((0, 8, 3), np.uint8), r"uint8 \[0, 8, 3\]"),
    ],
)
def test_what_is_no_photo_is_refused(selector: Selector, image: np.ndarray, said: str) -> None:
    with pytest.raises(InputError, match=said):
        selector.encode(image)


def test_the_network_sees_the_photo_scaled_and_padded() -> None:
    """At scale 1, without padding, the scene holds what the network gives for the pixels themselves."""
    network = eager_one_click()
    selector = Selector(SelectionModels(ObjectFinder(network), None, None), working_sizes=(96,))
    image = noise(64, 96)
    encoded = selector.encode(image).views[0].encoded
    with torch.no_grad():
        expected = network.encode(torch.from_numpy(image.transpose(2, 0, 1).copy())[None])
    for ours, theirs in zip(encoded.pyramid, expected, strict=True):
        assert torch.equal(ours, theirs[0])


def test_padding_has_the_mean_colour_at_the_right_and_below() -> None:
    image = noise(40, 70)
    padded = pad(image, [123.675, 116.28, 103.53])
    assert padded.shape == (64, 96, 3)
    assert np.array_equal(padded[:40, :70], image)
    assert (padded[40:] == [124, 116, 104]).all()
    assert (padded[:, 70:] == [124, 116, 104]).all()
    assert np.array_equal(pad(image[:32, :64], [0, 0, 0]), image[:32, :64])
