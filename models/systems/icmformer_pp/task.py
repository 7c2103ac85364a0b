"""Training iCMFormer++: pictures with exemplars, in which like objects are recalled."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor, nn

from models.recipes.schema import InteractiveRecipe, Strict
from models.systems.clicking.pretrained import load_pretrained
from models.systems.clicking.samples import ClickBatch
from models.systems.clicking.task import InteractiveTask
from models.systems.icmformer_pp.config import IcmformerPPConfig
from models.systems.icmformer_pp.network import IcmformerPPNetwork
from models.systems.icmformer_pp.samples import (
    ExemplarBatch,
    ExemplarSample,
    collate_exemplars,
    make_exemplar_sample,
)
from toolkit.data.mois_clicks import ClickRules

PAPER_SIDE = 448  # pixels of the pictures for which the paper gives distances of clicks


class ExemplarSettings(Strict):
    """Section ``training`` of the recipes.

    Attributes:
        exemplar_probability: Of an exemplar in a picture that has a group; others teach to select an object.
        most_clicks: Of an exemplar (section 4.1.2).
        apart: Least distance of two of them, pixels of a picture of 448 px (section 4.3).
        margin: Least distance to the exemplar's border, likewise.
        likeness_weights: Of the exemplar-informed module's backbone, see
            :func:`models.systems.clicking.pretrained.load_pretrained`; taken where the recipe's
            ``backbone_weights`` are taken.
    """

    exemplar_probability: float = Field(0.8, ge=0, le=1)
    most_clicks: int = Field(20, ge=1)
    apart: float = Field(40.0, ge=0)
    margin: float = Field(20.0, ge=0)
    likeness_weights: str | None = None

    def rules(self, side: int) -> ClickRules:
        """Of clicks in a picture of ``side`` × ``side`` pixels."""
        scale = side / PAPER_SIDE
        usual = ClickRules()
        reach = self.margin + usual.reach - usual.margin
        return ClickRules(self.most_clicks, self.apart * scale, self.margin * scale, reach * scale)


class RecallTask(InteractiveTask):
    """See :class:`InteractiveTask`."""

    def __init__(self, recipe: InteractiveRecipe) -> None:
        super().__init__(recipe)
        self.settings = ExemplarSettings(**recipe.training)
        self.recalls = IcmformerPPConfig(**recipe.model).recalls
        network, weights = self.model, self.settings.likeness_weights
        if not isinstance(network, IcmformerPPNetwork):
            raise TypeError(f"expected an IcmformerPPNetwork, got {type(network).__name__}")
        if recipe.backbone_weights and weights and network.likeness is not None:
            load_pretrained(network.likeness.body, weights)

    def sample(self, index: int) -> ExemplarSample:  # type: ignore[override]  # collate takes the same
        """A picture with an exemplar, objects to recall, and the first points on them."""
        canvas, rng = self.stream.picture(index)
        rules = self.settings.rules(canvas.image.shape[0])
        probability = self.settings.exemplar_probability
        return make_exemplar_sample(canvas, rng, self.sampling, rules, self.recalls, probability)

    def collate(self, samples: list[Any]) -> ExemplarBatch:
        """Stack samples."""
        return collate_exemplars(samples)

    def predict(self, model: nn.Module, batch: ClickBatch, points: Tensor, previous: Tensor) -> Any:
        """One pass of the network, with the batch's exemplars."""
        exemplar = batch.exemplar if isinstance(batch, ExemplarBatch) else None
        return model(self.pixels(batch), points, previous, exemplar)
