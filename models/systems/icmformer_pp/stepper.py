"""iCMFormer++ from click to click, with the exemplars of one photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from models.roi_align import boxes_of_masks
from models.systems.clicking.crops import Crop, scaled_clicks
from models.systems.clicking.state import ClickState
from models.systems.clicking.stepper import NetworkInput, ZoomStepper
from models.systems.icmformer_pp.exemplar import EncodedExemplar, ExemplarInput
from models.systems.icmformer_pp.network import IcmformerPPNetwork
from models.systems.icmformer_pp.samples import PSEUDO
from toolkit.exemplars import Exemplar

MOST_COMPARED = 3  # newest exemplars whose looks are compared; all of them are seen by the exemplar branch


class ExemplarStepper(ZoomStepper[IcmformerPPNetwork]):
    """See :class:`ZoomStepper`.

    Args:
        network: In evaluation mode.
        exemplars: Of the photo that is clicked; none by default.
    """

    def __init__(self, network: IcmformerPPNetwork, exemplars: Sequence[Exemplar] = ()) -> None:
        super().__init__(network)
        self.exemplars = tuple(exemplars)

    def with_exemplars(self, exemplars: Sequence[Exemplar]) -> ExemplarStepper:
        """The same for a photo with exemplars."""
        return ExemplarStepper(self.network, exemplars)

    def predict(
        self, given: NetworkInput, state: ClickState | None
    ) -> tuple[Tensor, Mapping[str, Tensor] | list[Mapping[str, Tensor]]]:
        """Run the network; what depends on the view and the exemplars alone is kept for the next click."""
        same_view = state is not None and state.crop == given.crop
        kept = dict(state.kept) if state is not None and same_view else self._look(given)
        encoded = EncodedExemplar(kept["tokens"], kept.get("kernels"), kept.get("counted"), kept["mask"])
        encoded = expanded(encoded, len(given.points))
        features = kept.get("features")
        if features is not None:
            features = features.expand(len(given.points), -1, -1, -1)
        logits = self.network(given.image, given.points, given.previous, encoded, features)
        return logits.float().sigmoid(), kept

    def _look(self, given: NetworkInput) -> dict[str, Tensor]:
        """Encode a view and its exemplars."""
        image, network = given.image[:1], self.network
        size = (image.shape[-2], image.shape[-1])
        whole = exemplar_input(self.exemplars, given.crop, given.shape, size).to(image.device)
        kept = {"tokens": network.exemplar_tokens(image, whole), "mask": whole.mask}
        if network.likeness is None:
            return kept
        newest = [[exemplar] for exemplar in self.exemplars[-MOST_COMPARED:]] or [[]]
        found = [
            network.exemplar_kernels(
                image, exemplar_input(one, given.crop, given.shape, size).to(image.device)
            )
            for one in newest
        ]
        kept["kernels"] = torch.cat([kernels for kernels, _ in found], dim=1)
        kept["counted"] = torch.cat([counted for _, counted in found], dim=1)
        kept["features"] = network.likeness.features(network.normalise(image))
        return kept


def exemplar_input(
    exemplars: Sequence[Exemplar], crop: Crop, shape: tuple[int, int], size: tuple[int, int]
) -> ExemplarInput:
    """Exemplars of a photo as a network sees them: their masks as one, all their clicks.

    Args:
        exemplars: Of the photo; none give an empty mask.
        crop: The part of the photo that is seen.
        shape: Height and width to which it is brought.
        size: Height and width of the input, padding included.
    """
    whole = np.zeros(size, np.float32)
    for exemplar in exemplars:
        part = np.ascontiguousarray(crop.cut(exemplar.mask), np.float32)
        sized = cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        whole[: shape[0], : shape[1]] = np.maximum(whole[: shape[0], : shape[1]], sized >= 0.5)
    clicks = scaled_clicks([c for exemplar in exemplars for c in exemplar.clicks], crop, shape)
    pseudo = scaled_clicks([c for exemplar in exemplars for c in exemplar.pseudo_negatives], crop, shape)
    pseudo[:, 2] = PSEUDO
    mask = torch.from_numpy(whole)[None]
    points = torch.from_numpy(np.concatenate([clicks, pseudo]))[None]
    return ExemplarInput(mask[None], points, boxes_of_masks(mask))


def expanded(encoded: EncodedExemplar, batch: int) -> EncodedExemplar:
    """One photo's exemplar for several first clicks on it."""
    kernels, counted = encoded.kernels, encoded.counted
    return EncodedExemplar(
        encoded.tokens.expand(batch, -1, -1),
        None if kernels is None else kernels.expand(batch, -1, -1),
        None if counted is None else counted.expand(batch, -1),
        encoded.mask.expand(batch, -1, -1, -1),
    )
