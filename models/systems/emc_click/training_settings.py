"""What a recipe may say of EMC-Click's training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EmcClickTraining(BaseModel):
    """A recipe's section ``training``.

    Attributes:
        rollout_decay: One more click before the step is this much less likely; 1 makes all numbers as likely.
            The paper does not say; 0.8 is RITM's for the points that a picture starts with.
        base_weight: Of the base network's loss.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rollout_decay: float = Field(0.8, gt=0, le=1)
    base_weight: float = Field(1.0, ge=0)
