"""What Label Studio 1.23 sends to a machine learning backend, and what it takes for an answer.

Requests are read leniently: unknown fields are kept or ignored, missing ones have defaults, because a refused
request leaves the annotator's click behind as a stray keypoint. Numbers must be finite.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

MAX_TASKS = 10_000
MAX_POINTS = 1_000
MAX_STORED_REGIONS = 20_000

Percent = Annotated[FiniteFloat, Field(ge=-1000, le=1000)]
Side = Annotated[int, Field(ge=1, le=1_000_000)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class PromptValue(_Request):
    """Where a smart tool was used: a point, or the corner, size and turn of a rectangle; in percent."""

    model_config = ConfigDict(extra="allow")

    x: Percent
    y: Percent
    width: Percent = 0.0
    height: Percent = 0.0
    rotation: FiniteFloat = 0.0


class PromptRegion(_Request):
    """One use of a smart tool that the annotator has not accepted or rejected yet."""

    id: str = ""
    type: str = "keypointlabels"
    from_name: str = ""
    to_name: str = ""
    value: PromptValue
    original_width: Side | None = None
    original_height: Side | None = None
    image_rotation: FiniteFloat = 0.0
    is_positive: bool = True
    item_index: Annotated[int, Field(ge=0, le=MAX_TASKS)] | None = None

    def labels(self) -> list[str]:
        """The labels the smart tool was set to."""
        extra = self.value.model_extra or {}
        for key in (self.type, "labels"):
            values = extra.get(key)
            if isinstance(values, list):
                return [value for value in values if isinstance(value, str)]
        return []


class Context(_Request):
    """The pending prompts of one annotator on one task, the newest last."""

    result: list[PromptRegion] = Field(default_factory=list, max_length=MAX_POINTS)

    @field_validator("result", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return [] if value is None else value


class Params(_Request):
    """`context` is there when an annotator used a smart tool, and None when tasks are to be pre-labelled."""

    context: Context | None = None


class Marked(_Request):
    """An annotation or a draft: the regions somebody has made already."""

    id: int | str | None = None
    result: list[dict[str, Any]] = Field(default_factory=list, max_length=MAX_STORED_REGIONS)

    @field_validator("result", mode="before")
    @classmethod
    def _only_regions(cls, value: Any) -> Any:
        if value is None:
            return []
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else value


class Task(_Request):
    """One photo to annotate; `data` holds its URL."""

    id: int | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    annotations: list[Marked] = Field(default_factory=list)
    drafts: list[Marked] = Field(default_factory=list)

    @field_validator("annotations", "drafts", mode="before")
    @classmethod
    def _only_objects(cls, value: Any) -> Any:
        if value is None:
            return []
        return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else value


class PredictRequest(_Request):
    """`POST /predict`."""

    tasks: list[Task] = Field(min_length=1, max_length=MAX_TASKS)
    project: str | None = None
    label_config: str = ""
    params: Params = Field(default_factory=Params)

    @field_validator("params", mode="before")
    @classmethod
    def _no_params(cls, value: Any) -> Any:
        return {} if value is None else value

    @property
    def context(self) -> Context | None:
        """The annotator's prompts, None for a batch."""
        return self.params.context


class SetupRequest(_Request):
    """`POST /setup`: which project is connected, with what configuration."""

    project: str
    label_config: str = Field(alias="schema")
    hostname: str | None = None
    access_token: str | None = Field(default=None, repr=False)
    extra_params: Any = None


class WebhookRequest(_Request):
    """`POST /webhook`: something happened in a project."""

    model_config = ConfigDict(extra="allow")

    action: str = Field(min_length=1, max_length=100)
    project: dict[str, Any] | None = None
    task: dict[str, Any] | None = None
    annotation: dict[str, Any] | None = None
    annotations: list[dict[str, Any]] | None = None


class Prediction(BaseModel):
    """The answer for one task."""

    result: list[dict[str, Any]] = Field(default_factory=list)
    score: float = 0.0
    model_version: str


class PredictResponse(BaseModel):
    """One entry for each task: a prediction, or an empty list where there is nothing to store (yet)."""

    results: list[Prediction | list[Prediction]]


class SetupResponse(BaseModel):
    """The version of the model that answers."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
