"""Clicks under EMC-Click: the base network once, then the correction network on what it left."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from models.systems.clicking.state import ClickState
from models.systems.clicking.stepper import NetworkInput, ZoomStepper
from models.systems.emc_click.network import EmcClickNetwork


class EmcClickStepper(ZoomStepper[EmcClickNetwork]):
    """Keeps the base network's features of the first click with every state after it."""

    def predict(
        self, given: NetworkInput, state: ClickState | None
    ) -> tuple[Tensor, Mapping[str, Tensor] | list[Mapping[str, Tensor]]]:
        """See :class:`~models.systems.clicking.stepper.ZoomStepper`."""
        network = self.network
        if state is not None:
            features = state.kept["features"]
            logits = network.correct(given.image, given.points, given.previous, features)
            return logits.float().sigmoid(), state.kept
        features, coarse = network.start(given.image, given.points)
        logits = network.correct(given.image, given.points, coarse.float().sigmoid(), features)
        # clones, so that one state does not hold the features of the whole batch
        return logits.float().sigmoid(), [{"features": one.clone()} for one in features.split(1)]
