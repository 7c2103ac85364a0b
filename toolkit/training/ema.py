"""A moving average of a model's weights."""

from __future__ import annotations

import copy

import torch


class ExponentialMovingAverage:
    """Keeps `average = decay · average + (1 - decay) · model` over parameters and floating-point buffers.

    Integer buffers (counters) are copied. The decay is min(decay, (1 + n) / (10 + n)) after n updates, so
    that a short run is not ruled by its first weights.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        """Start from a copy of `model`, on the same device."""
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Move the average one step towards `model`."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        current = model.state_dict()
        for name, average in self.model.state_dict().items():
            value = current[name].detach()
            if average.is_floating_point():
                average.lerp_(value.to(average.dtype), 1 - decay)
            else:
                average.copy_(value)

    def state_dict(self) -> dict[str, object]:
        """Return what `load_state_dict` needs to go on exactly."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]
