"""The coins photo in a real browser, with the bundled weights: one click gives coins."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from annotation.decoding import region_to_mask
from annotation.studio.project import read_material
from annotation.studio.up import UpOptions, running
from tests.annotation.studio.conftest import ARTEFACTS
from tests.helpers.studio_page import CHROMIUM_FLAGS, StudioPage
from toolkit.image import save_image
from toolkit.report import Report

pytestmark = [pytest.mark.slow, pytest.mark.studio]

BUNDLED = Path(__file__).resolve().parents[3] / "models" / "bundled"
CLICK = (36, 49)  # on the first coin


def test_one_click_on_the_coins(chromium, options: UpOptions, first_run, tmp_path):
    from playwright.sync_api import sync_playwright

    skdata = pytest.importorskip("skimage.data")
    if not (BUNDLED / "one-click").is_dir():
        pytest.skip("no bundled weights")
    coins = skdata.coins()
    height, width = coins.shape
    (tmp_path / "coins").mkdir()
    save_image(tmp_path / "coins" / "coins.png", np.repeat(coins[..., None], 3, axis=2))
    data = tmp_path / "data"
    shutil.copytree(options.data, data, symlinks=True, ignore=shutil.ignore_patterns("*.log", "lock"))
    mine = UpOptions(data=data, venv=options.venv, port=18070)
    with (
        running(read_material(tmp_path / "coins"), mine, Report(), lambda _: None) as up,
        sync_playwright() as playwright,
    ):
        up.probe.wait_ready()
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = StudioPage(
            browser.new_page(viewport={"width": 1400, "height": 1000}), up.server.url, ARTEFACTS / "coins"
        )
        page.sign_in(up.account.email, up.account.password)
        task = up.client.tasks(up.project)[0].id
        page.open(up.project, task)
        page.toggle("auto-annotation", True)
        page.pick("1")
        page.click(*CLICK, width, height)
        page.wait_answered()
        page.shot("one-click")
        found = page.suggestions
        assert found >= 5
        page.accept_all()
        page.submit()
        page.shot("submitted")
        browser.close()
        (exported,) = up.client.export(up.project)
        masks = [region_to_mask(one) for one in exported["annotations"][0]["result"]]
        assert len(masks) == found
        # Coins are brighter than the table around them.
        assert all(coins[mask].mean() > coins.mean() for mask in masks)
