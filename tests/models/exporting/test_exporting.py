"""The ONNX files answer as torch does, at sizes that they were not traced at."""

from __future__ import annotations

import json
from dataclasses import replace

import onnxruntime
import pytest
import torch
from torch import nn

from models.exporting import (
    exportable,
    largest_difference,
    one_click_graphs,
    pvm_graph,
    refiner_graph,
    write_graphs,
)
from models.one_click.model import click_maps_of
from tests.helpers.networks import random_cpn, random_one_click, random_pvm, random_refiner, save_selector
from toolkit.cli import run
from toolkit.errors import InputError


def answers(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    feeds = {name: value.numpy() for name, value in inputs.items()}
    return {name: torch.from_numpy(x) for name, x in zip(names, session.run(names, feeds), strict=True)}


def picture(height: int, width: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8, generator=draw)


LEVELS = ("p2", "p3", "p4", "p5")
VARIANTS = {
    "plain": {},
    "group norm, coordinates, clicks in masks": {
        "norm": "group",
        "kernel_coordinates": True,
        "click_in_masks": True,
    },
    "no clicks": {"click_embedding": False},
}


@pytest.mark.slow
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS.keys())
def test_encoder_then_heads_are_a_full_pass(tmp_path, changes):
    model = random_one_click(**changes)
    list(write_graphs(one_click_graphs(model), tmp_path))
    for height, width in ((96, 64), (160, 288)):
        image = picture(height, width)
        maps = click_maps_of([[(30.0, 50.0), (9.0, 70.0)]], height, width)
        with torch.no_grad():
            expected = model(image, maps)
            kernels = [
                model.heads.dense_kernels(model.heads.with_coordinates(level.features))
                for level in expected.levels
            ]
        encoded = answers(tmp_path / "encoder.onnx", image=image)
        mask_features = encoded.pop("mask_features")
        for name, level in zip(LEVELS, expected.pyramid, strict=True):
            torch.testing.assert_close(encoded[name], level, atol=1e-4, rtol=1e-4)
        clicks = {f"clicks_{name}": x for name, x in zip(LEVELS, maps, strict=True)}
        found = answers(
            tmp_path / "heads.onnx", **encoded, **(clicks if model.config.click_embedding else {})
        )
        if model.config.click_in_masks:
            mask_features = found["mask_features"]
        torch.testing.assert_close(mask_features, expected.mask_features, atol=1e-4, rtol=1e-4)
        for name, level, kernel in zip(LEVELS, expected.levels, kernels, strict=True):
            torch.testing.assert_close(found[f"logits_{name}"], level.logits, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found[f"distances_{name}"], level.distances, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found[f"centerness_{name}"], level.centerness, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found[f"kernels_{name}"], kernel, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"use_mask": False, "use_scale": False}])
def test_pvm_embeds_any_number_of_objects(tmp_path, changes):
    model = random_pvm(**changes)
    graph = pvm_graph(model)
    list(write_graphs([graph], tmp_path))
    sample = graph.samples[1]
    for count in (1, 4):
        inputs = [x[:count] for x in sample]
        with torch.no_grad():
            expected = graph.module(*inputs)
        found = answers(tmp_path / "pvm.onnx", **dict(zip(graph.inputs, inputs, strict=True)))
        torch.testing.assert_close(found["embeddings"], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_command_writes_a_set_and_says_what_is_in_it(tmp_path, capsys):
    out = tmp_path / "onnx"
    assert run(["models", "export", str(save_selector(tmp_path / "set")), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "encoder.onnx",
        "export.json",
        "heads.onnx",
        "pvm.onnx",
    ]
    said = json.loads((out / "export.json").read_text())
    assert said["versions"]["torch"] == torch.__version__
    encoder = said["files"]["encoder.onnx"]
    assert encoder["inputs"] == [
        {"name": "image", "dtype": "uint8", "shape": [1, 3, "height", "width"], "stride": 1}
    ]
    assert {one["name"]: one["stride"] for one in encoder["outputs"]} == {
        "p2": 4,
        "p3": 8,
        "p4": 16,
        "p5": 32,
        "mask_features": 4,
    }
    assert 0 <= encoder["largest_difference_from_torch"] < 1e-4
    for name, file in said["files"].items():  # what the description names is what the file has
        session = onnxruntime.InferenceSession(out / name, providers=["CPUExecutionProvider"])
        assert [one.name for one in session.get_inputs()] == [one["name"] for one in file["inputs"]]
        assert [one.name for one in session.get_outputs()] == [one["name"] for one in file["outputs"]]
    assert "times as fast" in capsys.readouterr().out


def test_other_weights_fail_the_check(tmp_path):
    list(write_graphs([one_click_graphs(random_one_click(seed=0))[0]], tmp_path))
    other = one_click_graphs(random_one_click(seed=1))[0]
    with pytest.raises(InputError, match=r"encoder\.onnx: p2 differs from torch by"):
        largest_difference(other, tmp_path / "encoder.onnx")


class SizeAsConstant(nn.Module):
    """Gives the first picture's height whatever the picture."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image.float() * int(image.shape[2])


def test_a_constant_of_the_trace_fails_the_check_and_leaves_no_file(tmp_path):
    encoder = one_click_graphs(random_one_click())[0]
    axes = {"image": encoder.axes["image"]}
    graph = replace(encoder, module=SizeAsConstant(), outputs=("scaled",), axes=axes, strides={})
    with pytest.raises(InputError, match="can't"):
        list(write_graphs([graph], tmp_path))
    assert not list(tmp_path.iterdir())


def test_without_onnxruntime_files_are_written_unchecked(tmp_path, monkeypatch, capsys):
    from models.exporting import writing

    known = writing.find_spec
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name == "onnxruntime" else known(name))
    random_pvm().save_pretrained(tmp_path / "pvm")
    assert run(["models", "export", str(tmp_path / "pvm"), "--out", str(tmp_path / "out")]) == 0
    said = json.loads((tmp_path / "out" / "export.json").read_text())
    assert said["files"]["pvm.onnx"]["largest_difference_from_torch"] is None
    assert "declutter[onnx]" in capsys.readouterr().out


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    from models.exporting import writing

    monkeypatch.setattr(writing, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'declutter\[onnx\]'"):
        list(write_graphs([pvm_graph(random_pvm())], tmp_path))


def test_sources_that_hold_nothing_to_export(tmp_path):
    random_cpn().save_pretrained(tmp_path / "cpn")
    with pytest.raises(InputError, match="no 1C-DSN, PVM or mask refiner"):
        exportable(str(tmp_path / "cpn"))
    with pytest.raises(InputError, match="model 'nothing': no such folder"):
        exportable("nothing")


@pytest.mark.slow
def test_the_refiner_mends_any_number_of_masks(tmp_path):
    model = random_refiner()
    list(write_graphs([refiner_graph(model)], tmp_path))
    draw = torch.Generator().manual_seed(3)
    given = {
        "pixels": torch.rand(3, 3, 32, 32, generator=draw) * 255,
        "prior": torch.randn(3, 1, 32, 32, generator=draw) * 4,
        "clicks": torch.rand(3, 1, 32, 32, generator=draw),
    }
    with torch.no_grad():
        expected = model(**given)
    found = answers(tmp_path / "refiner.onnx", **given)
    torch.testing.assert_close(found["logits"], expected.logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found["quality"], expected.quality, atol=1e-3, rtol=1e-3)


def test_a_bundled_network_is_found_by_name():
    assert [graph.name for graph in exportable("pvm")] == ["pvm"]


def test_the_encoder_of_a_set_whose_pvm_reads_the_backbones_maps_gives_them(tmp_path):
    model = random_one_click()
    model.save_pretrained(tmp_path / "one-click")
    random_pvm(stage_channels=[16, 16]).save_pretrained(tmp_path / "pvm")
    encoder, _, pvm = exportable(str(tmp_path))
    assert encoder.outputs == ("p2", "p3", "p4", "p5", "mask_features", "c3", "c4")
    assert (encoder.strides["c3"], encoder.strides["c4"]) == (8, 16)
    image = picture(64, 96)
    with torch.no_grad():
        found = dict(zip(encoder.outputs, encoder.module(image), strict=True))
        expected = model.encode_with_stages(image)[1]
    assert [tuple(one.shape) for one in expected] == [(1, 16, 8, 12), (1, 16, 4, 6)]
    for name, one in zip(("c3", "c4"), expected, strict=True):
        torch.testing.assert_close(found[name], one, atol=1e-4, rtol=1e-4)
    assert dict(zip(pvm.inputs, pvm.samples[0], strict=True))["features"].shape[1] == 16 + 16 + 16
