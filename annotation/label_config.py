"""Read a project's labelling configuration: which photos, smart tools, mask tools and labels it offers."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from toolkit.errors import InputError

MaskKind = Literal["bitmask", "polygon", "brush"]
Mode = Literal["all", "only"]

MASK_TAGS: Mapping[str, MaskKind] = {
    "BitmaskLabels": "bitmask",
    "PolygonLabels": "polygon",
    "BrushLabels": "brush",
}
PROMPT_TAGS = ("KeyPointLabels", "RectangleLabels")
UNLABELLED_TAGS = ("Bitmask", "Polygon", "Brush")
LABEL_TAGS = ("Label", "Choice")
MAX_CONFIG_CHARACTERS = 1_000_000

DEFAULT_CONFIG_FILE = Path(__file__).parent / "label_config.xml"


@dataclass(frozen=True)
class Label:
    """One label of a control tag, with what it says about a click on it.

    `mode` is "all" (the object and its siblings) or "only" (that object); `produces` names the mask label
    of the answer, or is None when the configuration leaves it open.
    """

    value: str
    mode: Mode
    produces: str | None = None


@dataclass(frozen=True)
class Control:
    """A control tag (`BitmaskLabels`, `KeyPointLabels`, …) tied to one image tag."""

    name: str
    tag: str
    to_name: str
    labels: tuple[Label, ...] = ()

    @property
    def kind(self) -> MaskKind | None:
        """The kind of mask it draws, None for a tag that only prompts."""
        return MASK_TAGS.get(self.tag)

    @property
    def result_type(self) -> str:
        """The `type` of its regions and the key of their labels, such as `brushlabels`."""
        return self.tag.lower()

    def label(self, value: str) -> Label | None:
        """The label called `value`, if the tag has it."""
        return next((label for label in self.labels if label.value == value), None)


@dataclass(frozen=True)
class LabelConfig:
    """The parts of a labelling configuration that the backend speaks.

    `images` maps the name of each `<Image>` tag to the task field that holds its URL.
    """

    images: Mapping[str, str]
    controls: tuple[Control, ...]
    notes: tuple[str, ...] = field(default=())

    def control(self, name: str) -> Control | None:
        """The control called `name`, if there is one."""
        return next((control for control in self.controls if control.name == name), None)

    def masks_of(self, image: str) -> list[Control]:
        """The mask tags drawn on the image tag `image`, in the order of the configuration."""
        return [control for control in self.controls if control.kind and control.to_name == image]

    def prompts_of(self, image: str) -> list[Control]:
        """The smart tags (keypoints, rectangles) of the image tag `image`."""
        return [c for c in self.controls if c.tag in PROMPT_TAGS and c.to_name == image]


def default_label_config(labels: Sequence[str] = ("Distractor",)) -> str:
    """Our labelling configuration as XML, its mask tags offering `labels`.

    With several labels each has its own pair of smart labels, for all like the clicked object and for only
    that.
    """
    tree = ElementTree.fromstring(DEFAULT_CONFIG_FILE.read_text(encoding="utf-8"))
    for tag in tree.iter():
        if tag.tag in MASK_TAGS:
            tag[:] = [_with_value(tag[0], label) for label in labels]
            for label in tag[:] if len(labels) > 1 else []:
                del label.attrib["background"]  # the page gives each its own colour
        elif tag.tag in PROMPT_TAGS and len(labels) > 1:
            tag[:] = [
                _with_value(template, f"{label}: {template.get('value', '').lower()}", label)
                for label in labels
                for template in tag[:]
            ]
    ElementTree.indent(tree)
    return ElementTree.tostring(tree, encoding="unicode")


def parse_label_config(xml: str) -> LabelConfig:
    """Parse a labelling configuration.

    Raises:
        InputError: it is not XML, declares entities, or has no `<Image>` tag.
    """
    root = _parse_xml(xml)
    images: dict[str, str] = {}
    controls: list[Control] = []
    notes: list[str] = []
    for tag in root.iter():
        name, target = tag.get("name", ""), tag.get("toName", "")
        if tag.tag == "Image":
            source = tag.get("value") or tag.get("valueList") or ""
            if name and source.startswith("$"):
                images[name] = source[1:]
            else:
                notes.append(f'the Image tag "{name}" names no task field (value="$field")')
        elif tag.tag in MASK_TAGS or tag.tag in PROMPT_TAGS:
            controls.append(Control(name, tag.tag, target, _labels_of(tag)))
        elif tag.tag in UNLABELLED_TAGS:
            notes.append(f'the {tag.tag} tag "{name}" has no labels of its own; use {tag.tag}Labels')
    if not images:
        raise InputError(
            'labelling configuration: no <Image name="…" value="$…"/> tag, so no photo to click on'
        )
    return LabelConfig(images, tuple(controls), tuple(notes))


def mask_label_for(config: LabelConfig, control: Control, value: str) -> str:
    """The mask label that a click with label `value` of the smart tag `control` asks for.

    In order: the label's own `produces`; a mask label of the same name; the only mask label there is.

    Raises:
        InputError: the configuration leaves it open.
    """
    offered = mask_labels(config, control.to_name)
    label = control.label(value)
    if label is not None and label.produces is not None:
        if label.produces in offered:
            return label.produces
        raise InputError(
            f'labelling configuration: label "{value}" of "{control.name}" produces "{label.produces}", '
            f"which no mask tag offers (they offer: {', '.join(offered) or 'none'})"
        )
    if value in offered:
        return value
    if len(offered) == 1:
        return offered[0]
    if not offered:
        raise InputError(
            f'labelling configuration: image "{control.to_name}" has no BitmaskLabels, PolygonLabels or '
            "BrushLabels tag to put the mask in; add one"
        )
    raise InputError(
        f'labelling configuration: cannot tell which mask label a click with "{value}" means '
        f'({", ".join(offered)}); give it the same name or add produces="…" to it'
    )


def mask_labels(config: LabelConfig, image: str) -> list[str]:
    """Every mask label offered for the image tag `image`, without repeats, in order."""
    values = (label.value for control in config.masks_of(image) for label in control.labels)
    return list(dict.fromkeys(values))


def controls_with(config: LabelConfig, image: str, label: str) -> dict[MaskKind, Control]:
    """The mask tags of `image` that offer `label`, by kind (the first of each kind)."""
    found: dict[MaskKind, Control] = {}
    for control in config.masks_of(image):
        if control.kind and control.label(label):
            found.setdefault(control.kind, control)
    return found


def check_label_config(config: LabelConfig) -> list[str]:
    """What is missing for clicks to be answered, in words; empty when all is well."""
    problems = list(config.notes)
    prompts = [control for control in config.controls if control.tag in PROMPT_TAGS]
    if not prompts:
        problems.append('no smart tag: add <KeyPointLabels smart="true" …> with at least one label')
    for control in prompts:
        if control.to_name not in config.images:
            problems.append(f'"{control.name}" points at "{control.to_name}", which is no Image tag')
            continue
        if not control.labels:
            problems.append(f'"{control.name}" has no labels')
        for label in control.labels:
            try:
                mask_label_for(config, control, label.value)
            except InputError as error:
                problems.append(str(error).removeprefix("labelling configuration: "))
    return list(dict.fromkeys(problems))


def _parse_xml(xml: str) -> ElementTree.Element:
    if len(xml) > MAX_CONFIG_CHARACTERS:
        raise InputError(f"labelling configuration: longer than {MAX_CONFIG_CHARACTERS} characters")
    # Entities are what makes XML dangerous (expansion, external files), and no configuration needs them.
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise InputError("labelling configuration: document types and entities are not accepted; remove them")
    try:
        return ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"labelling configuration: not well-formed XML ({error})") from error


def _with_value(
    template: ElementTree.Element, value: str, produces: str | None = None
) -> ElementTree.Element:
    """A label like `template` with another value; copies have no hot key, which belongs to one label."""
    attributes = {**template.attrib, "value": value}
    if produces is not None:
        attributes.pop("hotkey", None)
        attributes["produces"] = produces
    return ElementTree.Element("Label", attributes)


def _labels_of(tag: ElementTree.Element) -> tuple[Label, ...]:
    found = []
    for child in tag.iter():
        value = child.get("value")
        if child.tag in LABEL_TAGS and value:
            found.append(Label(value, _mode_of(child, value), child.get("produces")))
    return tuple(found)


def _mode_of(tag: ElementTree.Element, value: str) -> Mode:
    asked = (tag.get("mode") or "").strip().lower()
    if asked in ("all", "only"):
        return "all" if asked == "all" else "only"
    return "only" if value.strip().lower().startswith("only") else "all"
