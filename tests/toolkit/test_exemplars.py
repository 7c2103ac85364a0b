from __future__ import annotations

import json

import numpy as np
import pytest

from tests.helpers.masks import disk
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.exemplars import exemplar_from_json, exemplar_to_json, part_negatives
from toolkit.selection import Instance
from toolkit.systems import ExemplarScene

MASK = disk(20, 30, 8, 8, 5)
SIBLING = disk(20, 30, 22, 8, 4)


def test_negative_clicks_on_siblings_are_pseudo() -> None:
    on_object, on_sibling, beside = Click(8, 8), Click(22, 8, positive=False), Click(15, 17, positive=False)
    stray = Click(40, 8, positive=False)  # outside of the photo
    positive_on_sibling = Click(22, 9)
    kept, pseudo = part_negatives([on_object, on_sibling, beside, stray, positive_on_sibling], [SIBLING])
    assert kept == (on_object, beside, stray, positive_on_sibling)
    assert pseudo == (on_sibling,)


def test_clicks_survive_the_file() -> None:
    clicks = (Click(8.5, 8.5), Click(15.5, 17.5, positive=False))
    pseudo = (Click(22.5, 8.5, positive=False),)
    field = json.loads(json.dumps(exemplar_to_json(clicks, pseudo)))
    read = exemplar_from_json(field, MASK)
    assert read.clicks == clicks
    assert read.pseudo_negatives == pseudo
    assert read.mask is MASK


@pytest.mark.parametrize("field", [True, [], {}, {"clicks": 3}, {"clicks": [{"x": 1, "y": "a"}]}])
def test_a_malformed_field_is_named(field: object) -> None:
    with pytest.raises(InputError, match="annotation field exemplar"):
        exemplar_from_json(field, MASK)


def test_the_protocol_is_told_apart_from_a_plain_scene() -> None:
    class Plain:
        height, width = MASK.shape

        def segment(self, clicks: object) -> Instance | None:
            return None

        def segment_each(self, clicks: object) -> list[Instance | None]:
            return []

    class Recalling(Plain):
        recalls = "one"

        def segment_like(self, clicks: object, exemplars: object) -> Instance | None:
            return Instance(np.ones((20, 30), bool), (0, 0, 30, 20), 1.0)

    assert isinstance(Recalling(), ExemplarScene)
    assert not isinstance(Plain(), ExemplarScene)
