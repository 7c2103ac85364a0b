"""Recorded requests of Label Studio against the whole backend, in process."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from annotation.decoding import region_to_mask
from annotation.label_config import default_label_config
from tests.helpers.five_discs import ADDRESS, DISCS, HEIGHT, PHOTO, WIDTH, ask, at, disc, matching
from tests.helpers.label_studio_requests import click_body, inline, point_body, setup_body, task_body
from tests.helpers.selection_system import RED, ShapesSystem, shapes_photo
from toolkit.errors import InputError
from toolkit.masks import mask_iou


def test_health_setup_and_versions(start):
    client = start()
    assert client.get("/health").json() == {"status": "UP", "state": "ready", "model_version": "shapes-1"}
    assert client.post("/setup", json=setup_body()).json() == {"model_version": "shapes-1"}
    assert client.get("/versions").json()["versions"] == ["shapes-1"]


def test_one_click_gives_the_object_and_its_siblings(start):
    client = start()
    answer = ask(client, [at(1)])
    assert answer["model_version"] == "shapes-1"
    assert answer["score"] == pytest.approx(0.95)
    result = answer["result"]
    assert len(result) == 3
    head, *siblings = result
    assert matching([head], 1)
    assert [len(matching(siblings, number)) for number in (0, 2)] == [1, 1]
    assert "parentID" not in head
    assert {one["parentID"] for one in siblings} == {head["id"]}
    assert len({one["id"] for one in result}) == 3
    groups = {one["meta"]["declutter"]["group"] for one in result}
    assert len(groups) == 1
    assert head["meta"]["text"] == [f"group {groups.pop()}"]
    assert [one["meta"]["declutter"]["role"] for one in result] == ["clicked", "sibling", "sibling"]
    for one in result:
        assert (one["original_width"], one["original_height"], one["image_rotation"]) == (WIDTH, HEIGHT, 0)
        assert one["from_name"] == "mask"
        assert one["to_name"] == "image"
        assert one["type"] == "bitmasklabels"
        assert one["value"]["bitmasklabels"] == ["Distractor"]
        assert 0 <= one["score"] <= 1


def test_one_click_asks_the_model_once(start):
    system = ShapesSystem()
    ask(start(system), [at(1)])
    assert (system.calls["select_similar"], system.calls["segment"]) == (1, 1)  # the one inside the other


def test_only_this_gives_one_object_without_a_group(start):
    result = ask(start(), [at(1, label="Only this")])["result"]
    assert len(result) == 1
    assert matching(result, 1)
    assert "group" not in result[0]["meta"]["declutter"]


def test_a_click_on_nothing_is_answered_empty(start):
    client = start()
    answer = ask(client, [point_body(300, 20, WIDTH, HEIGHT)])
    assert answer == {"result": [], "score": 0.0, "model_version": "shapes-1"}
    assert 'declutter_empty_answers_total{reason="nothing-found"} 1.0' in client.get("/metrics").text


def test_a_negative_click_keeps_a_sibling_out_and_reaches_the_model(start):
    system = ShapesSystem()
    result = ask(start(system), [at(1), at(2, positive=False)])["result"]
    assert len(result) == 2
    assert matching(result, 0)
    assert not matching(result, 2)
    (negative,) = system.negatives[-1]
    assert (negative.x, negative.y) == pytest.approx((200, 40))
    assert not negative.positive


def test_a_second_positive_click_adds_another_group(start):
    result = ask(start(), [at(1), at(3)])["result"]
    assert len(result) == 4
    groups = [one["meta"]["declutter"]["group"] for one in result]
    assert len(set(groups[:3])) == 1
    assert groups[3] not in groups[:3]
    assert matching(result[3:], 3)


def test_a_second_click_on_a_sibling_adds_nothing(start):
    result = ask(start(), [at(1), at(2)])["result"]
    assert sorted(len(matching(result, number)) for number in range(3)) == [1, 1, 1]
    assert len(result) == 3


def test_what_drafts_and_annotations_hold_is_left_out(start):
    client = start()
    first = ask(client, [at(1)])["result"]
    again = ask(client, [at(1)], drafts=[first])
    assert again["result"] == []
    kept = [one for one in first if one["id"] != first[2]["id"]]
    missing = ask(client, [at(1)], drafts=[kept])["result"]
    assert len(missing) == 1
    assert mask_iou(region_to_mask(missing[0]), region_to_mask(first[2])) == 1
    # It joins the group and the tree that are there.
    assert missing[0]["meta"]["declutter"]["group"] == first[0]["meta"]["declutter"]["group"]
    assert missing[0]["parentID"] == first[0]["id"]
    submitted = ask(client, [at(1)], annotations=[first])
    assert submitted["result"] == []
    text = client.get("/metrics").text
    assert 'declutter_regions_left_out_total{reason="duplicate"}' in text


def test_what_was_accepted_a_moment_ago_is_left_out_before_any_draft_says_so(start):
    client = start(max_regions=2)
    first = ask(client, [at(1, name="p1")])["result"]
    assert len(matching(first, 1) + matching(first, 0)) == 2
    # Still pending: the page replaces the suggestions, so all of them come again.
    both = ask(client, [at(1, name="p1"), at(3, name="p2")])["result"]
    assert len(matching(both, 1) + matching(both, 0)) == 2
    # Accepted, and at once a click on the sibling that was beyond the limit; no draft yet.
    second = ask(client, [at(2, name="p3")])["result"]
    assert len(second) == 1
    assert matching(second, 2)
    assert second[0]["meta"]["declutter"]["group"] == both[0]["meta"]["declutter"]["group"]
    # The page would have selected a mask that is there: so it was rejected, and comes again.
    again = ask(client, [at(2, name="p4")])["result"]
    assert matching(again, 2)


def test_what_was_deleted_comes_back_once_the_draft_is_saved(start):
    client = start()
    first = ask(client, [at(1, name="p1")])["result"]
    kept = [one for one in first if not matching([one], 0)]
    assert ask(client, [at(3, name="p2")], drafts=[kept])["result"]
    again = ask(client, [at(0, name="p3")], drafts=[kept])["result"]
    assert len(again) == 1
    assert matching(again, 0)


def test_a_repainted_region_still_counts_as_known(start):
    client = start()
    first = ask(client, [at(3)])["result"]
    from annotation.data_url import mask_to_data_url

    smaller = disc(3).copy()
    smaller[:130] = False  # the annotator took a bite out of it
    first[0]["value"]["imageDataURL"] = mask_to_data_url(smaller)
    assert ask(client, [at(3)], drafts=[first])["result"] == []


def test_damaged_drafts_do_no_harm(start):
    broken = {"id": "x", "type": "brushlabels", "to_name": "image", "value": {"rle": [1, 2]}}
    assert len(ask(start(), [at(1)], drafts=[[broken, {"weird": 1}]])["result"]) == 3


def test_with_auto_accept_a_negative_click_counts_for_the_next(start):
    system = ShapesSystem()
    client = start(system)
    first = ask(client, [at(1)])["result"]
    wrong = matching(first, 2)[0]
    kept = [one for one in first if one is not wrong]
    assert ask(client, [at(2, positive=False)], drafts=[kept])["result"] == []
    result = ask(client, [at(1)], drafts=[kept])["result"]
    assert result == []
    assert [(round(n.x), n.positive) for n in system.negatives[-1]] == [(200, False)]
    # Clicked itself, it is what the annotator wants after all.
    assert matching(ask(client, [at(2)], drafts=[kept])["result"], 2)
    # Another task knows nothing of it.
    assert len(ask(client, [at(1)], task=2)["result"]) == 3


def test_a_negative_click_does_not_haunt_another_selection(start):
    system = ShapesSystem()
    client = start(system)
    ask(client, [at(1)])
    ask(client, [at(3, positive=False)])
    ask(client, [at(4)])
    assert system.negatives[-1] == []


def test_the_rest_is_counted_when_there_are_too_many(start):
    result = ask(start(max_regions=2), [at(1)])["result"]
    assert len(result) == 2
    assert matching(result[:1], 1)
    assert result[0]["meta"]["text"][1] == "1 more left out: at most 2 regions are given"


@pytest.mark.parametrize("tag", ["BrushLabels", "PolygonLabels", "BitmaskLabels"])
def test_every_mask_type_of_a_foreign_project(start, tag):
    photo = shapes_photo(DISCS, hole=5)
    config = (
        f'<View><Image name="photo" value="$image"/><{tag} name="m" toName="photo"><Label value="Cat"/>'
        f'<Label value="Dog"/></{tag}><KeyPointLabels name="kp" toName="photo" smart="true">'
        '<Label value="Cat"/><Label value="Dog"/></KeyPointLabels></View>'
    )
    x, y, *_ = DISCS[1]
    point = point_body(x + 10, y, WIDTH, HEIGHT, label="Dog", from_name="kp", to_name="photo")
    result = ask(start(), [point], config, address=inline(photo))["result"]
    assert len(result) == 3
    kind = tag.lower()
    for one in result:
        assert one["type"] == kind
        assert one["value"][kind] == ["Dog"]
        assert one["from_name"] == "m"
        assert not region_to_mask(one)[DISCS[0][1], DISCS[0][0]]  # the hole is there in every form
    assert {region_to_mask(one)[y, x + 10] for one in result} == {True, False}


def test_a_turned_photo_keeps_its_coordinates(start):
    result = ask(start(), [at(1, rotation=90)])["result"]
    assert matching(result, 1)
    assert {one["image_rotation"] for one in result} == {90}


def test_exif_orientation_is_applied_as_in_the_page(start):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 6  # stored lying on its left side: the page turns it clockwise
    stored = np.ascontiguousarray(np.rot90(PHOTO))
    result = ask(start(), [at(1)], address=inline(stored, "JPEG", exif=exif, quality=95))["result"]
    assert matching(result, 1)


def test_a_photo_that_the_page_shows_smaller_is_scaled(start):
    point = point_body(DISCS[1][0] / 2, DISCS[1][1] / 2, WIDTH // 2, HEIGHT // 2)
    result = ask(start(), [point])["result"]
    assert len(result) == 3
    mask = region_to_mask(result[0])
    assert mask.shape == (HEIGHT // 2, WIDTH // 2)
    assert mask_iou(mask, disc(1)[::2, ::2]) > 0.9


def test_a_photo_of_another_shape_is_refused(start, caplog):
    client = start()
    assert ask(client, [point_body(60, 60, HEIGHT, WIDTH)])["result"] == []
    assert "its EXIF orientation is not applied there; reload the task" in caplog.text


def test_smart_rectangles_click_at_their_centre(start):
    config = default_label_config().replace(
        "<Image",
        '<RectangleLabels name="box" toName="image" smart="true"><Label value="All like this"/>'
        "</RectangleLabels><Image",
    )
    x, y, radius, _ = DISCS[1]
    box = at(1, from_name="box")
    box["type"] = "rectanglelabels"
    box["value"] = {
        "x": (x - radius) / WIDTH * 100,
        "y": (y - radius) / HEIGHT * 100,
        "width": 2 * radius / WIDTH * 100,
        "height": 2 * radius / HEIGHT * 100,
        "rotation": 0,
        "rectanglelabels": ["All like this"],
    }
    assert len(ask(start(), [box], config)["result"]) == 3


def test_specks_are_not_given(start):
    photo = PHOTO.copy()
    photo[230:232, 5:7] = RED
    result = ask(start(), [at(1)], address=inline(photo))["result"]
    assert len(result) == 3


@pytest.mark.parametrize(
    "failure", [RuntimeError("CUDA out of memory"), MemoryError(), KeyError("x"), InputError("no")]
)
def test_a_failing_model_is_answered_empty_and_logged_with_the_request_id(start, caplog, failure):
    system = ShapesSystem()
    client = start(system)
    system.fail_with = failure
    answer = client.post("/predict", json=click_body(task_body(ADDRESS), [at(1)]))
    assert answer.status_code == 200
    assert answer.json() == {"results": [{"result": [], "score": 0.0, "model_version": "shapes-1"}]}
    request_id = answer.headers["x-request-id"]
    assert request_id in caplog.text
    system.fail_with = None
    assert len(ask(client, [at(1)])["result"]) == 3


def test_a_slow_model_is_answered_empty_in_time(start):
    system = ShapesSystem()
    system.gate = threading.Event()
    client = start(system, answer_seconds=0.3)
    assert ask(client, [at(1)])["result"] == []  # and not after the gate's thirty seconds
    assert 'reason="too-slow"' in client.get("/metrics").text
    system.gate.set()
