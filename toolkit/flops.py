"""Counting FLOPs; a multiplication and an addition count as two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


def _attention_on_cpu(
    query: torch.Size, key: torch.Size, value: torch.Size, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """FLOPs of torch's attention on the CPU, which its counter leaves out."""
    return sdpa_flop_count(query, key, value)


def count_flops(run: Callable[[], Any]) -> int:
    """FLOPs of a call, made without gradients."""
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    with (
        torch.no_grad(),
        FlopCounterMode(display=False, custom_mapping={attention: _attention_on_cpu}) as counter,
    ):
        run()
    return counter.get_total_flops()
