"""In which precision a run computes on the machine at hand."""

from __future__ import annotations

import logging

import torch

from toolkit.errors import InputError

logger = logging.getLogger("toolkit.training")

# Instructions that multiply bfloat16; without them it is emulated, ten times slower than float32 (measured
# with a 3×3 convolution of 64 channels on an x86 processor that has AVX2 only).
BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16")


def computes_bf16() -> bool:
    """Whether this processor has instructions for bfloat16."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in BF16_INSTRUCTIONS)


def precision_for(wanted: str, device: str) -> str:
    """The precision to compute in: the wanted one, or "no" where bf16 would only be emulated.

    Args:
        wanted: "no", "bf16" or "fp16".
        device: Kind of the device, as torch names it.

    Raises:
        InputError: fp16 on a CPU.
    """
    if device != "cpu":
        return wanted
    if wanted == "fp16":
        raise InputError('schedule field mixed_precision: "fp16" needs a GPU; use "bf16" or "no" on a CPU')
    if wanted == "bf16" and not computes_bf16():
        logger.warning("this processor only emulates bf16, which is slower: computing in float32")
        return "no"
    return wanted
