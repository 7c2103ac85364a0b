from __future__ import annotations

import logging

import pytest
import torch

from toolkit.errors import InputError
from toolkit.training.precision import computes_bf16, precision_for


@pytest.mark.parametrize(
    ("wanted", "device", "has_bf16", "expected"),
    [
        ("bf16", "cpu", True, "bf16"),
        ("bf16", "cpu", False, "no"),
        ("no", "cpu", False, "no"),
        ("bf16", "cuda", False, "bf16"),  # what the processor lacks does not matter to a GPU
        ("fp16", "cuda", False, "fp16"),
    ],
)
def test_emulated_bf16_is_not_used(
    monkeypatch: pytest.MonkeyPatch, wanted: str, device: str, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr("toolkit.training.precision.computes_bf16", lambda: has_bf16)
    assert precision_for(wanted, device) == expected


def test_the_fall_back_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("toolkit.training.precision.computes_bf16", lambda: False)
    with caplog.at_level(logging.WARNING, logger="toolkit.training"):
        precision_for("bf16", "cpu")
    assert "float32" in caplog.text


def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(InputError, match="mixed_precision"):
        precision_for("fp16", "cpu")


@pytest.mark.parametrize(
    ("flags", "expected"), [({"avx2": True}, False), ({"avx2": True, "amx_bf16": True}, True), ({}, False)]
)
def test_instructions_are_looked_up(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert computes_bf16() is expected
