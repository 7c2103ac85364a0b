"""Write ONNX files with a description beside them."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from models.exporting.checking import TOLERANCE, largest_difference
from models.exporting.graphs import Graph, one_click_graphs, pvm_graph, refiner_graph
from models.folding import load_folded
from models.loading import BUNDLED
from models.one_click import OneClickModel
from models.pvm import VerificationModel
from models.refiner import RefinerModel
from toolkit.errors import InputError

OPSET = 17
PARTS = ("one-click", "pvm", "refiner")  # of a set: what is exported
DESCRIPTION = "export.json"
PACKAGES = ("declutter", "torch", "transformers", "onnx", "onnxruntime")  # whose versions it names
INSTALL = "pip install 'declutter[onnx]'"


@dataclass(frozen=True)
class Exported:
    """A file that was written; ``difference`` from torch is None where onnxruntime is not installed."""

    graph: Graph
    path: Path
    difference: float | None


def exportable(source: str | None) -> list[Graph]:
    """The graphs of a set of weights or of one network.

    Args:
        source: A bundled network's name, the folder of a set, or that of a 1C-DSN, PVM or mask refiner; the
            bundled set when None.

    Raises:
        InputError: There is none of the three.
    """
    root = BUNDLED if source is None else Path(source)
    if not root.is_dir():
        root = BUNDLED / str(source)
    if not root.is_dir():
        raise InputError(
            f"model '{source}': no such folder or bundled network; expected one-click, pvm, or a folder"
        )
    if (root / "config.json").is_file():
        folders = {_model_type(root / "config.json"): root}
    else:
        found = [root / part for part in PARTS if (root / part / "config.json").is_file()]
        folders = {_model_type(folder / "config.json"): folder for folder in found}
    graphs: list[Graph] = []
    device = torch.device("cpu")
    verification = None
    if folder := folders.get(_type_of(VerificationModel)):
        verification = load_folded(VerificationModel, folder, None, device)
    if folder := folders.get(_type_of(OneClickModel)):
        one_click = load_folded(OneClickModel, folder, None, device)
        stages = verification is not None and bool(verification.config.stage_channels)
        graphs += one_click_graphs(one_click, stages) if one_click else []
    graphs += [pvm_graph(verification)] if verification else []
    if folder := folders.get(_type_of(RefinerModel)):
        refiner = load_folded(RefinerModel, folder, None, device)
        graphs += [refiner_graph(refiner)] if refiner else []
    if not graphs:
        raise InputError(f"{root}: no 1C-DSN, PVM or mask refiner there; only these are exported to ONNX")
    return graphs


def _type_of(kind: type[PreTrainedModel]) -> str:
    return str(getattr(kind.config_class, "model_type", ""))


def _model_type(config: Path) -> str:
    try:
        return str(json.loads(config.read_text(encoding="utf-8"))["model_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{config}: expected JSON with model_type ({error})") from error


def write_graphs(graphs: list[Graph], out: Path) -> Iterator[Exported]:
    """Write each graph, checked where onnxruntime is installed, and last what describes them.

    A file takes its place only after the check.

    Raises:
        InputError: The package onnx is missing, or a file does not answer as torch does.
    """
    if find_spec("onnx") is None:
        raise InputError(f"models export: the package onnx is not installed; {INSTALL}")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: can't make this folder ({error})") from error
    checked = find_spec("onnxruntime") is not None
    done = []
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        for graph in graphs:
            draft = Path(temporary) / f"{graph.name}.onnx"
            _export(graph, draft)
            difference = largest_difference(graph, draft) if checked else None
            done.append(Exported(graph, draft.replace(out / draft.name), difference))
            yield done[-1]
        draft = Path(temporary) / DESCRIPTION
        draft.write_text(json.dumps(describe(done), indent=1) + "\n", encoding="utf-8")
        draft.replace(out / DESCRIPTION)


def _export(graph: Graph, path: Path) -> None:
    with torch.no_grad(), warnings.catch_warnings():
        # Of the exporter's age, and of every constant: a wrong one shows at the second sample.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        try:
            torch.onnx.export(
                graph.module,
                graph.samples[0],
                path,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_axes={name: dict(axes) for name, axes in graph.axes.items()},
                opset_version=OPSET,
                dynamo=False,  # the other exporter needs onnxscript
            )
        except (RuntimeError, torch.onnx.OnnxExporterError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{graph.name}.onnx: torch can't export this network ({reason})") from error


def describe(exported: list[Exported]) -> dict[str, Any]:
    """What ``export.json`` says: each file's inputs and outputs, strides, the check, versions."""
    return {
        "opset": OPSET,
        "versions": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "files": {one.path.name: _describe_file(one) for one in exported},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@torch.no_grad()
def _describe_file(exported: Exported) -> dict[str, Any]:
    graph = exported.graph
    answers = graph.module(*graph.samples[0])
    outputs = answers if isinstance(answers, tuple) else (answers,)
    return {
        "network": graph.network,
        "inputs": [
            _describe_tensor(graph, *pair) for pair in zip(graph.inputs, graph.samples[0], strict=True)
        ],
        "outputs": [_describe_tensor(graph, *pair) for pair in zip(graph.outputs, outputs, strict=True)],
        "largest_difference_from_torch": exported.difference,
        "tolerance": TOLERANCE,
    }


def _describe_tensor(graph: Graph, name: str, tensor: torch.Tensor) -> dict[str, Any]:
    axes = graph.axes.get(name, {})
    described: dict[str, Any] = {
        "name": name,
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": [axes.get(axis, side) for axis, side in enumerate(tensor.shape)],
    }
    if name in graph.strides:
        described["stride"] = graph.strides[name]
    return described
