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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    border_emphasis: float = Field(default=0.5, ge=0)
    border_weight: float = Field(default=1.0, ge=0)
    focus_on_border: float = Field(default=0.5, ge=0, le=1)
