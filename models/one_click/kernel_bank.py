"""The kernel bank: in training, some layers of the mask networks are the same for all objects.

Source: Entity Segmentation (Qi et al., 2021), the global kernel bank. Inference is all dynamic (path 111).
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.one_click.dynamic_masks import LAYER_PARAMETERS

LAYER_INPUTS = (10, 8, 8)
# A path says of each of the three layers whether it is dynamic (1) or static (0); weights as above.
PATHS = {"111": 1.0, "110": 1.0, "101": 1.0, "100": 1.0, "011": 0.25, "010": 0.25, "001": 0.25}


def initial_static_kernels() -> Tensor:
    """``[169]``, drawn as torch draws 1×1 convolutions: uniform within 1 / √inputs."""
    layers = zip(LAYER_PARAMETERS, LAYER_INPUTS, strict=True)
    return torch.cat([torch.empty(count).uniform_(-(inputs**-0.5), inputs**-0.5) for count, inputs in layers])


def mixed_kernels(dynamic: Tensor, static: Tensor, path: str) -> Tensor:
    """Kernels ``[N, 169]`` whose layers come from ``dynamic`` ``[N, 169]`` or ``static`` ``[169]``.

    Args:
        dynamic: Of N objects.
        static: Of all objects.
        path: A key of :data:`PATHS`.
    """
    own = torch.split(dynamic, list(LAYER_PARAMETERS), dim=1)
    shared = torch.split(static.expand_as(dynamic), list(LAYER_PARAMETERS), dim=1)
    chosen = [a if digit == "1" else b for a, b, digit in zip(own, shared, path, strict=True)]
    return torch.cat(chosen, 1)
