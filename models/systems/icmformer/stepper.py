"""iCMFormer from click to click: the photo's tokens are kept as long as the view stays."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from models.systems.clicking.state import ClickState
from models.systems.clicking.stepper import NetworkInput, ZoomStepper
from models.systems.icmformer.network import IcmformerNetwork

TOKENS = "tokens"


class IcmformerStepper(ZoomStepper[IcmformerNetwork]):
    """See :class:`ZoomStepper`."""

    def predict(
        self, given: NetworkInput, state: ClickState | None
    ) -> tuple[Tensor, Mapping[str, Tensor] | list[Mapping[str, Tensor]]]:
        """Run the network, the photo's part only where the view is new."""
        rows, columns = self.network.grid(given.image)
        tokens = None
        if state is not None and state.crop == given.crop and TOKENS in state.kept:
            tokens = state.kept[TOKENS]
        if tokens is None or tokens.shape[1] != rows * columns:
            tokens = self.network.represent(given.image[:1])  # one photo, however many first clicks
        logits = self.network(given.image, given.points, given.previous, tokens)
        return logits.float().sigmoid(), {TOKENS: tokens}
