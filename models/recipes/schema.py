"""What a training recipe may say; an unknown or ill-typed key is an error that names it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.systems.table import TRAINED


class Strict(BaseModel):
    """A section of a recipe: no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CropStage(Strict):
    """Crop side in pixels up to a fraction of the run: start small, finish large."""

    size: int = Field(multiple_of=32, ge=64)
    until: float = Field(gt=0, le=1)


class ComposerSettings(Strict):
    """How training pictures are composed; see :class:`models.data.composer.ComposerConfig`."""

    smallest: float = 10.0
    largest: float = 280.0
    scale_limits: tuple[float, float] = (0.25, 3.0)
    smallest_cover: float = 0.7
    paste_probability: float = 0.75
    groups: int = 3
    copies: int = 6
    mixed_donors: float = Field(default=0.5, ge=0, le=1)
    objects: int = 24
    colour_strength: float = 1.0
    flip_vertical: float = 0.1
    exhaustive: tuple[str, ...] = ("coco",)


class DataSettings(Strict):
    """Where the photos are and how crops are drawn from them.

    Attributes:
        train: Split to learn from; usually given with ``--set data.train=FOLDER``.
        val: Split for the quick validation during training; None for none.
        val_images: Photos of ``val`` that the quick validation looks at, evenly spread.
        source_power: See :class:`models.data.pool.PhotoPool`.
        cache_megabytes: Memory in which each loader process keeps decoded photos.
        crops: Stages of the crop size.
        clicked_objects: Objects clicked per picture, at most.
        click_sets: How often 1C-DSN's heads see each encoded picture, each time with clicks on other objects.
        single_click_probability: Of one click on an object; two to five share the rest.
        mask_stride: Pixels per cell at which 1C-DSN's masks are compared (paper: 4).
    """

    train: Path | None = None
    val: Path | None = None
    val_images: int = 60
    source_power: float = 0.7
    cache_megabytes: int = Field(default=256, ge=0)
    crops: tuple[CropStage, ...] = (CropStage(size=320, until=1.0),)
    clicked_objects: int = 10
    click_sets: int = Field(default=1, ge=1)
    single_click_probability: float = Field(default=0.6, ge=0, le=1)
    mask_stride: Literal[1, 2, 4] = 2
    composer: ComposerSettings = ComposerSettings()


class ScheduleSettings(Strict):
    """Length and rate of the run; see :class:`toolkit.training.Schedule`.

    The length is given in ``steps``, or in ``epochs``: as many pictures as the training split has photos with
    objects. ``milestones`` are in the same unit as the length.
    """

    steps: int | None = None
    epochs: float | None = Field(default=None, gt=0)
    batch_size: int
    lr: float
    weight_decay: float = 0.05
    warmup_steps: int = 500
    decay: Literal["cosine", "step", "constant"] = "cosine"
    milestones: tuple[float, ...] = ()
    gamma: float = 0.1
    final_lr_fraction: float = 0.01
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    clip_grad_norm: float | None = None
    ema_decay: float | None = None
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    channels_last: bool = False
    workers: int = 1
    seed: int = 0
    checkpoint_minutes: float | None = 5.0
    checkpoint_steps: int | None = None
    eval_every: int | None = None
    log_every: int = 20

    @field_validator("mixed_precision", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: object) -> object:
        return "no" if value is False else value  # YAML reads a bare no as false

    @model_validator(mode="after")
    def _one_length(self) -> ScheduleSettings:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("expected either steps or epochs; take one back with --set schedule.epochs=null")
        length = self.steps if self.epochs is None else self.epochs
        if length is not None and any(not 0 < milestone <= length for milestone in self.milestones):
            unit = "steps" if self.epochs is None else "epochs"
            raise ValueError(f"milestones: expected {unit} above 0 and up to {length:g}, as the length is")
        if self.epochs is None and any(milestone % 1 for milestone in self.milestones):
            raise ValueError("milestones: expected whole steps, as the length is in steps")
        return self

    def in_steps(self, photos: int) -> ScheduleSettings:
        """The same with its length and milestones in steps, for a split of so many photos with objects."""
        if self.epochs is None:
            return self
        per_epoch = photos / self.batch_size
        changes = {
            "epochs": None,
            "steps": max(math.ceil(self.epochs * per_epoch), 1),
            "milestones": tuple(max(round(milestone * per_epoch), 1) for milestone in self.milestones),
        }
        return self.model_copy(update=changes)


class CriterionSettings(Strict):
    """Weights of 1C-DSN's losses; see :class:`models.one_click.criterion.CriterionConfig`."""

    class_weight: float = 1.0
    box_weight: float = 1.0
    centerness_weight: float = 1.0
    mask_weight: float = 1.0
    masks_per_image: int = 120
    masks_per_object: int = 16
    masks_in_all: int | None = None


class OneClickRecipe(Strict):
    """Train 1C-DSN. ``model`` holds arguments of :class:`models.one_click.OneClickConfig`.

    Attributes:
        backbone_weights: Folder or hub id of pretrained weights for the backbone; None starts from scratch.
        init_from: Folder of the whole network's weights to start from, such as another recipe's final ones.
    """

    task: Literal["one-click"]
    description: str = ""
    backbone_weights: str | None = None
    init_from: Path | None = None
    model: dict[str, Any] = Field(default_factory=dict)
    data: DataSettings = DataSettings()
    criterion: CriterionSettings = CriterionSettings()
    schedule: ScheduleSettings


class ProposalRecipe(Strict):
    """Train CPN on a frozen 1C-DSN. ``model`` holds arguments of :class:`models.cpn.ProposalConfig`.

    Attributes:
        one_click: Folder of the 1C-DSN; the bundled one by default.
        true_masks: Part of the pictures whose exemplars show their true masks, and not those that the
            1C-DSN predicts, which take longer, most of all on a GPU.
        targets: Groups of each encoded picture that a member is clicked of, at most: encoding takes longest.
        stages: Whether CPN also reads C3 and C4, the 1C-DSN's backbone's own maps; the paper's does not.
    """

    task: Literal["cpn"]
    description: str = ""
    one_click: Path | None = None
    true_masks: float = Field(default=0.0, ge=0, le=1)
    targets: int = Field(default=1, ge=1)
    stages: bool = False
    model: dict[str, Any] = Field(default_factory=dict)
    data: DataSettings = DataSettings()
    schedule: ScheduleSettings


class VerificationRecipe(Strict):
    """Train PVM on a frozen 1C-DSN. ``model`` holds arguments of :class:`models.pvm.VerificationConfig`.

    Attributes:
        backbone_weights: Folder or hub id of pretrained weights for the patches' backbone.
        cpn: Folder of the CPN whose false proposals are learned from; the bundled one by default, which
            knows the features of the bundled 1C-DSN only.
        margin: Distance beyond which a pair of unlike objects costs nothing.
        objects: Objects per picture, at most; all their pairs are learned from.
        elsewhere: Points per picture beside all objects, whose masks stand for false proposals.
        false_proposals: CPN's surest clicks beside all siblings, per picture, at most; 0 needs no CPN.
        true_masks: See :class:`ProposalRecipe`; such a picture has no false proposals.
        stages: See :class:`ProposalRecipe`.
    """

    task: Literal["pvm"]
    description: str = ""
    backbone_weights: str | None = None
    one_click: Path | None = None
    cpn: Path | None = None
    model: dict[str, Any] = Field(default_factory=dict)
    data: DataSettings = DataSettings()
    margin: float = 1.0
    objects: int = Field(12, ge=2)
    elsewhere: int = Field(default=2, ge=0)
    false_proposals: int = Field(default=4, ge=0)
    true_masks: float = Field(default=0.0, ge=0, le=1)
    stages: bool = False
    schedule: ScheduleSettings


class RefinerRecipe(Strict):
    """Train the mask refiner on a frozen 1C-DSN. ``model`` holds arguments of its configuration.

    Attributes:
        one_click: Folder of the 1C-DSN; the bundled one by default.
        backbone_from_one_click: Whether the backbone starts as the 1C-DSN's.
    """

    task: Literal["refiner"]
    description: str = ""
    one_click: Path | None = None
    backbone_from_one_click: bool = True
    model: dict[str, Any] = Field(default_factory=dict)
    data: DataSettings = DataSettings()
    schedule: ScheduleSettings


class ClickSettings(Strict):
    """Simulated clicks of the interactive systems; defaults are RITM's.

    Attributes:
        most: Points of each sign that a picture starts with, at most.
        decay: See :class:`models.systems.clicking.points.PointSampling`.
        erode_probability: That positives keep away from the border.
        elsewhere: Shares of negatives on the background, another object, the border.
        rollouts: Further clicks without gradients, at most.
        drop_previous: Probability that the mask before is withheld after roll-outs.
    """

    most: int = Field(default=24, ge=1)
    decay: float = Field(default=0.8, gt=0, le=1)
    erode_probability: float = Field(default=0.9, ge=0, le=1)
    elsewhere: tuple[float, float, float] = (0.1, 0.4, 0.5)
    rollouts: int = Field(default=3, ge=0)
    drop_previous: float = Field(default=0.0, ge=0, le=1)

    def sampling(self) -> dict[str, Any]:
        """Arguments of ``PointSampling``."""
        return self.model_dump(exclude={"rollouts", "drop_previous"})


class FocalSettings(Strict):
    """The normalised focal loss; see :func:`models.systems.clicking.losses.normalised_focal_loss`.

    Attributes:
        alpha: Weight of the object's pixels.
        gamma: Exponent.
        auxiliary: Weight of the auxiliary outputs' binary cross entropy.
    """

    alpha: float = Field(default=0.5, gt=0, lt=1)
    gamma: float = Field(default=2.0, ge=0)
    auxiliary: float = Field(default=0.4, ge=0)


class InteractiveRecipe(Strict):
    """Train a compared system. ``model`` holds arguments of the system's configuration.

    Attributes:
        system: A name in :data:`models.systems.table.TRAINED`.
        backbone_weights: Folder or hub id of pretrained weights for the backbone; None starts from scratch.
        backbone_lr_scale: The backbone learns at the schedule's rate times this.
        init_from: Folder of the whole network's weights to start from.
        training: The system's own settings; see its ``training_settings``.
    """

    task: Literal["interactive"]
    system: str
    description: str = ""
    backbone_weights: str | None = None
    backbone_lr_scale: float = Field(default=1.0, gt=0)
    init_from: Path | None = None
    model: dict[str, Any] = Field(default_factory=dict)
    data: DataSettings = DataSettings()
    clicks: ClickSettings = ClickSettings()
    loss: FocalSettings = FocalSettings()
    training: dict[str, Any] = Field(default_factory=dict)
    schedule: ScheduleSettings

    @field_validator("system")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in TRAINED:
            raise ValueError(f"expected one of {', '.join(TRAINED)}")
        return value


AnyRecipe: TypeAlias = (
    OneClickRecipe | ProposalRecipe | VerificationRecipe | RefinerRecipe | InteractiveRecipe
)
Recipe = Annotated[AnyRecipe, Field(discriminator="task")]
