"""Labelling configurations: what they offer, what a click on a label asks for, what is refused in words."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.label_config import (
    check_label_config,
    controls_with,
    default_label_config,
    mask_label_for,
    mask_labels,
    parse_label_config,
)
from toolkit.errors import InputError

SAM_STYLE = """
<View>
  <Image name="photo" value="$url"/>
  <BrushLabels name="tag" toName="photo"><Label value="Cat"/><Label value="Dog"/></BrushLabels>
  <KeyPointLabels name="kp" toName="photo" smart="true">
    <Label value="Cat"/><Label value="Dog"/></KeyPointLabels>
  <RectangleLabels name="rect" toName="photo" smart="true"><Label value="Cat"/></RectangleLabels>
</View>
"""


def test_our_configuration_is_complete():
    config = parse_label_config(default_label_config())
    assert config.images == {"image": "image"}
    assert check_label_config(config) == []
    click = config.control("click")
    assert [(label.value, label.mode) for label in click.labels] == [
        ("All like this", "all"),
        ("Only this", "only"),
    ]
    assert mask_label_for(config, click, "All like this") == "Distractor"
    assert set(controls_with(config, "image", "Distractor")) == {"bitmask", "polygon"}


def test_several_labels_get_a_pair_of_smart_labels_each():
    config = parse_label_config(default_label_config(("Litter", "Cone")))
    assert check_label_config(config) == []
    click = config.control("click")
    assert mask_label_for(config, click, "Cone: only this") == "Cone"
    assert click.label("Cone: only this").mode == "only"
    assert click.label("Litter: all like this").mode == "all"
    assert mask_labels(config, "image") == ["Litter", "Cone"]


def test_somebody_elses_configuration_maps_labels_by_name():
    config = parse_label_config(SAM_STYLE)
    assert config.images == {"photo": "url"}
    assert check_label_config(config) == []
    assert mask_label_for(config, config.control("kp"), "Dog") == "Dog"
    assert config.control("kp").label("Dog").mode == "all"
    assert [c.name for c in config.prompts_of("photo")] == ["kp", "rect"]
    assert controls_with(config, "photo", "Dog")["brush"].result_type == "brushlabels"


def test_what_cannot_be_mapped_is_refused_in_words():
    ambiguous = SAM_STYLE.replace(
        '<Label value="Cat"/><Label value="Dog"/></KeyPoint',
        '<Label value="Click"/><Label value="Dog"/></KeyPoint',
    )
    config = parse_label_config(ambiguous)
    with pytest.raises(
        InputError, match=r'cannot tell which mask label a click with "Click" means \(Cat, Dog\)'
    ):
        mask_label_for(config, config.control("kp"), "Click")
    assert len(check_label_config(config)) == 1

    no_mask = parse_label_config(
        '<View><Image name="i" value="$i"/>'
        '<KeyPointLabels name="k" toName="i"><Label value="A"/></KeyPointLabels></View>'
    )
    assert "has no BitmaskLabels, PolygonLabels or BrushLabels tag" in check_label_config(no_mask)[0]

    no_click = parse_label_config(
        '<View><Image name="i" value="$i"/>'
        '<BrushLabels name="b" toName="i"><Label value="A"/></BrushLabels></View>'
    )
    assert "no smart tag" in check_label_config(no_click)[0]

    wrong = parse_label_config(
        SAM_STYLE.replace(
            '<KeyPointLabels name="kp" toName="photo"', '<KeyPointLabels name="kp" toName="foto"'
        )
    )
    assert '"kp" points at "foto", which is no Image tag' in check_label_config(wrong)

    bare = parse_label_config('<View><Image name="i" value="$i"/><Brush name="b" toName="i"/></View>')
    assert "use BrushLabels" in check_label_config(bare)[0]

    missing = parse_label_config(
        SAM_STYLE.replace('<Label value="Dog"/></KeyPoint', '<Label value="x" produces="Cow"/></KeyPoint')
    )
    assert 'produces "Cow", which no mask tag offers (they offer: Cat, Dog)' in check_label_config(missing)[0]


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<View>",
        "not xml",
        "<View></View>",
        '<View><Image name="i" value="fixed.png"/></View>',
        '<!DOCTYPE x [<!ENTITY a "b">]><View><Image name="i" value="$i"/></View>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><View>&x;</View>',
        "\x00<View/>",
        "<View>" + " " * 1_000_001,
    ],
)
def test_bad_configurations_are_refused(xml):
    with pytest.raises(InputError, match="labelling configuration"):
        parse_label_config(xml)


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(xml):
    with contextlib.suppress(InputError):
        parse_label_config(xml)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(st.lists(NAMES.map(str.strip).filter(bool), min_size=1, max_size=5, unique=True))
def test_labels_of_any_spelling_come_back(labels):
    config = parse_label_config(default_label_config(labels))
    assert mask_labels(config, "image") == labels
    assert check_label_config(config) == []
