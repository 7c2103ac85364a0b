"""Training settings of FocalClick alone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FocalTraining(BaseModel):
    """Section ``training`` of a FocalClick recipe.

    Attributes:
        border_emphasis: The refined mask's pixels near the border cost this much more.
        border_weight: Of the border map's cross entropy.
        focus_on_border: Probability that a training focus crop lies around a point of the object's border,
            rather than around the whole object.
        zoom_probability: Probability that a batch which has masks of earlier clicks is seen in target crops,
            as in use. A training of minutes learns too few objects that fill the picture without it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    border_emphasis: float = Field(default=0.5, ge=0)
    border_weight: float = Field(default=1.0, ge=0)
    focus_on_border: float = Field(default=0.5, ge=0, le=1)
    zoom_probability: float = Field(default=0.0, ge=0, le=1)
