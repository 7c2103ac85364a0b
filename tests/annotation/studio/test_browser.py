"""A real annotator's work in a real browser: one click, all siblings; screenshots in runs/browser-tests."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from annotation.decoding import region_to_mask
from annotation.existing import group_of
from annotation.exporting import export_tasks
from annotation.photo_sources import from_label_studio
from tests.annotation.studio.conftest import ARTEFACTS, DISCS, HEIGHT, WIDTH
from tests.helpers.studio_page import CHROMIUM_FLAGS, StudioPage
from toolkit.masks import mask_iou
from toolkit.split import read_split

pytestmark = [pytest.mark.slow, pytest.mark.studio]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(browser, studio: SimpleNamespace, request: pytest.FixtureRequest) -> Iterator[StudioPage]:
    """A signed-in page with auto-annotation switched on."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    driven = StudioPage(context.new_page(), studio.up.server.url, ARTEFACTS / request.node.name)
    driven.sign_in(studio.up.account.email, studio.up.account.password)
    yield driven
    context.close()


def task(studio: SimpleNamespace, number: int) -> int:
    return studio.client.tasks(studio.project)[number].id


def on(number: int) -> tuple[float, float, int, int]:
    """A point on a disc, beside its hole."""
    x, y, radius, _ = DISCS[number]
    return x + radius * 0.6, y, WIDTH, HEIGHT


def disc(number: int) -> np.ndarray:
    x, y, radius, _ = DISCS[number]
    rows, columns = np.indices((HEIGHT, WIDTH))
    distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
    return (distance <= radius) & (distance >= 8)


def result_of(studio: SimpleNamespace, number: int) -> list[dict]:
    exported = {one["id"]: one for one in studio.client.export(studio.project)}
    return exported[task(studio, number)]["annotations"][-1]["result"]


def test_one_click_accept_remove_one_submit_export(page, studio, tmp_path):
    page.open(studio.project, task(studio, 6))
    page.toggle("auto-annotation", True)
    page.shot("opened")
    page.pick("1")
    page.click(*on(1))
    page.wait_answered()
    page.shot("five-suggestions")
    assert page.suggestions == 5
    page.accept_all()
    page.shot("accepted")
    regions = page.regions
    assert [one["type"] for one in regions] == ["bitmaskregion"] * 5  # the helper point has gone
    head = next(one for one in regions if not one["parent"])
    assert {one["parent"] for one in regions if one is not head} == {head["id"]}
    page.delete(*on(3))
    assert len(page.regions) == 4
    page.shot("one-removed")
    page.pick("2")
    page.click(*on(5))
    page.wait_answered()
    assert page.suggestions == 1
    page.accept_all()
    page.submit()
    page.shot("submitted")

    result = result_of(studio, 6)
    assert len(result) == 5
    assert {one["type"] for one in result} == {"bitmasklabels"}
    assert all(0 < one["score"] <= 1 for one in result)
    clicked = next(one for one in result if group_of(one) and not one.get("parentID"))
    siblings = [one for one in result if one.get("parentID")]
    assert [one["parentID"] for one in siblings] == [clicked["id"]] * 3  # the panel's tree is kept
    assert {group_of(one) for one in siblings} == {group_of(clicked)}
    out = tmp_path / "split"
    source = from_label_studio(studio.client.url, studio.up.account.token)
    export_tasks(
        [one for one in studio.client.export(studio.project) if one["id"] == task(studio, 6)], out, source
    )
    split = read_split(out)
    annotations = split.annotations_of(split.images[0].id)
    masks = [one.mask(HEIGHT, WIDTH) for one in annotations]
    best = [max(mask_iou(mask, disc(number)) for mask in masks) for number in range(6)]
    assert [one > 0.9 for one in best] == [True, True, True, False, True, True]
    assert sorted(one.group_id is None for one in annotations) == [False] * 4 + [True]
    assert len({one.group_id for one in annotations} - {None}) == 1
    for mask, number in ((mask, n) for mask in masks for n in range(6) if mask_iou(mask, disc(n)) > 0.9):
        assert not mask[DISCS[number][1], DISCS[number][0]]  # the hole survived the page and the export


def test_alt_click_keeps_one_out_before_accepting(page, studio):
    page.open(studio.project, task(studio, 7))
    page.toggle("auto-annotation", True)
    page.pick("1")
    page.click(*on(0))
    page.wait_answered()
    assert page.suggestions == 5
    page.pick("1")
    page.click(*on(2), "Control", "Alt")
    page.wait_answered()
    page.shot("four-left")
    assert page.suggestions == 4
    page.accept_all()
    page.submit()
    masks = [region_to_mask(one) for one in result_of(studio, 7)]
    assert len(masks) == 4
    assert not any(mask_iou(mask, disc(2)) > 0.1 for mask in masks)


def test_auto_accept_never_duplicates(page, studio):
    page.open(studio.project, task(studio, 5))
    page.toggle("auto-annotation", True)
    page.toggle("auto-accept", True)
    for _ in range(3):
        page.pick("1")
        page.click(*on(3), "Control")
        page.wait_answered()
        page.page.wait_for_timeout(
            6500
        )  # the page saves its draft after five seconds; the next click sends it along
    page.shot("three-clicks-five-regions")
    assert [one["type"] for one in page.regions] == ["bitmaskregion"] * 5
    page.pick("1")
    page.click(600, 460, WIDTH, HEIGHT)  # on nothing: no stray point stays behind
    page.wait_answered()
    assert [one["type"] for one in page.regions] == ["bitmaskregion"] * 5
    page.toggle("auto-accept", False)
