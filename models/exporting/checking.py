"""Whether an ONNX file answers as torch does, and how fast."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from models.exporting.graphs import Graph
from toolkit.errors import InputError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Of the largest value that torch gives, or of 1: float32 sums in another order differ by some 1e-6 of it.
TOLERANCE = 1e-4
SPEED_SIZE = (768, 1024)  # pixels
ROUNDS = 5


@dataclass(frozen=True)
class EncoderTimes:
    """Median seconds that the encoder takes for one picture of ``SPEED_SIZE``, on one thread."""

    torch: float
    onnxruntime: float


def open_session(path: Path, threads: int = 0) -> InferenceSession:
    """An ONNX file in onnxruntime on the CPU; ``threads`` 0 leaves their number to it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; below it speaks of every constant that it folds
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@torch.no_grad()
def largest_difference(graph: Graph, path: Path) -> float:
    """The largest absolute difference of any output between the file and torch, over the graph's samples.

    Raises:
        InputError: It is above the tolerance, or the file can't run a sample.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    failures = (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.NotImplemented,
        state.RuntimeException,
    )
    largest = 0.0
    try:
        session = open_session(path)
        for sample in graph.samples:
            expected = graph.module(*sample)
            wanted = expected if isinstance(expected, tuple) else (expected,)
            feeds = {name: x.numpy() for name, x in zip(graph.inputs, sample, strict=True)}
            answers = session.run(list(graph.outputs), feeds)
            for name, one, answer in zip(graph.outputs, wanted, answers, strict=True):
                _check_shape(graph, name, tuple(one.shape), answer.shape)
                difference = float((torch.from_numpy(answer) - one).abs().max())
                # written so that a NaN fails too
                if not difference <= TOLERANCE * max(1.0, float(one.abs().max())):
                    raise InputError(
                        f"{graph.name}.onnx: {name} differs from torch by {difference:.2g} at inputs of "
                        f"shape {list(sample[0].shape)}; this network can't be exported"
                    )
                largest = max(largest, difference)
    except failures as error:
        raise InputError(f"{graph.name}.onnx: onnxruntime can't run it ({error})") from error
    return largest


def _check_shape(graph: Graph, name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
    if expected != found:
        raise InputError(
            f"{graph.name}.onnx: {name} has shape {list(found)}, torch's {list(expected)}; "
            "this network can't be exported for pictures of any size"
        )


@torch.no_grad()
def time_encoder(graph: Graph, path: Path) -> EncoderTimes:
    """Time the encoder in turns, torch and onnxruntime, on one thread each."""
    image = torch.zeros(1, 3, *SPEED_SIZE, dtype=torch.uint8)
    session = open_session(path, threads=1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        turns = [
            (
                _seconds(lambda: graph.module(image)),
                _seconds(lambda: session.run(None, {"image": image.numpy()})),
            )
            for _ in range(ROUNDS + 1)
        ][1:]  # the first one warms up
    finally:
        torch.set_num_threads(threads)
    return EncoderTimes(median(turn[0] for turn in turns), median(turn[1] for turn in turns))


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
