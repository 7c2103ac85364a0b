"""The demo: its photos, its coin count, and everything it writes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from models.demo.coins import count_coins, reference_coins
from models.demo.photos import PHOTOS, DemoPhoto
from models.demo.run import Outcome, run_photos, write_demo
from tests.helpers.flood_fill import FloodFillSystem
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.image import image_size, open_image
from toolkit.selection import Instance
from toolkit.split import read_split

COINS = PHOTOS[0]


class CoinSystem:
    """Knows the coins and nothing else; leaves out the last two and adds two masks that are no coin."""

    name = "coin <system>"

    def encode(self, image: np.ndarray) -> CoinSystem:
        self.height, self.width = image.shape[:2]
        return self

    def segment(self, clicks: Sequence[Click]) -> Instance | None:
        return next(iter(self.select_similar(clicks[0])), None)

    def segment_each(self, clicks: Sequence[Click]) -> list[Instance | None]:
        return [self.segment([click]) for click in clicks]

    def select_similar(self, click: Click) -> list[Instance]:
        if (self.height, self.width) != (303, 384):
            return []
        coins = reference_coins(open_image(COINS.path()))
        coins.sort(key=lambda coin: not coin[int(click.y), int(click.x)])
        corner = np.zeros_like(coins[0])
        corner[:20, :20] = True
        sliver = coins[1].copy()  # the rightmost 8 columns of a coin: less than half of it
        sliver[:, : np.nonzero(sliver)[1].max() - 7] = False
        masks = [*coins[:-2], corner, sliver]
        return [Instance(mask=mask, box=(0.0, 0.0, 384.0, 303.0), score=0.5) for mask in masks]


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_every_photo_is_installed_and_its_click_is_inside(photo: DemoPhoto) -> None:
    height, width = image_size(photo.path())
    assert 0 <= photo.click[0] < width
    assert 0 <= photo.click[1] < height


def test_a_photo_that_is_not_installed_names_the_extra() -> None:
    for photo in (replace(COINS, file="data/absent.png"), replace(COINS, package="absent_package")):
        with pytest.raises(InputError, match=r"declutter\[demo\]"):
            photo.path()


def test_the_reference_holds_24_coins() -> None:
    image = open_image(COINS.path())
    coins = reference_coins(image)
    assert len(coins) == 24
    assert np.sum(coins, axis=0).max() == 1
    # Four rows and six columns of coins, counted by looking at the photo.
    centres = np.array([np.argwhere(coin).mean(axis=0) for coin in coins])
    assert sorted(np.bincount(np.digitize(centres[:, 0], [90, 160, 230])).tolist()) == [6, 6, 6, 6]
    assert sum(bool(coin[COINS.click[1], COINS.click[0]]) for coin in coins) == 1


def test_coins_are_matched_one_to_one() -> None:
    def box(left: int) -> np.ndarray:
        mask = np.zeros((10, 40), bool)
        mask[:, left : left + 10] = True
        return mask

    coins = [box(0), box(10), box(30)]
    # A coin, its copy shifted by 2 of 10 columns (IoU 8/12), one shifted by 5 (IoU 5/15), and an empty place.
    count = count_coins([box(0), box(2), box(25), box(20)], coins)
    assert (count.of, count.found, count.not_coins, count.missed) == (3, 1, 3, (1, 2))
    assert count.mean_iou == pytest.approx(1.0)
    nothing = count_coins([], coins)
    assert (nothing.found, nothing.not_coins, nothing.mean_iou) == (0, 0, None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome]]:
    """A demo run with the system that knows the coins only."""
    out = tmp_path_factory.mktemp("demo")
    system = CoinSystem()
    outcomes = list(run_photos(system, [COINS, PHOTOS[-1]]))  # type: ignore[arg-type]
    write_demo(out, outcomes, system.name)
    return out, outcomes


def test_the_verdict_says_what_was_found_and_missed(finished: tuple[Path, list[Outcome]]) -> None:
    _, (coins, coffee) = finished
    assert coins.verdict == "22 of the 24 coins were found, 2 missed; 2 masks are not coins of their own."
    assert coffee.verdict == "Nothing was found under the click."
    for count, words in ((1, "no sibling"), (2, "1 sibling"), (3, "2 siblings")):
        some = replace(coffee, selection=coins.selection[:count])
        assert some.verdict == f"The clicked object and {words} were selected."


def test_the_selections_are_a_split(finished: tuple[Path, list[Outcome]]) -> None:
    out, (coins, _) = finished
    split = read_split(out / "split")
    assert [image.file_name for image in split] == ["coins.png", "coffee.png"]
    annotations = split.annotations_of(split.images[0].id)
    assert {annotation.group_id for annotation in annotations} == {1}
    for annotation, instance in zip(annotations, coins.selection, strict=True):
        assert (annotation.mask(303, 384) == instance.mask).all()
    assert len(COCO(str(out / "split" / "annotations.json")).anns) == len(coins.selection)
    assert "CC0" in json.dumps(dict(split.card))


def test_the_photos_are_there_for_label_studio(finished: tuple[Path, list[Outcome]]) -> None:
    out, outcomes = finished
    copies = sorted((out / "demo-photos").iterdir())
    assert [path.name for path in copies] == ["coffee.png", "coins.png"]
    assert copies[1].read_bytes() == outcomes[0].photo.path().read_bytes()


def test_the_figures_and_what_was_left_out_are_written(finished: tuple[Path, list[Outcome]]) -> None:
    out, _ = finished
    result = json.loads((out / "result.json").read_text())
    assert result["selected"] == 24
    assert result["photos"]["coins"]["coins"]["found"] == 22
    assert "coffee" in (out / "report.json").read_text()


def test_the_page_is_self_contained(finished: tuple[Path, list[Outcome]]) -> None:
    out, outcomes = finished
    page = (out / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 3 * len(outcomes)
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "<script" not in page
    assert "coin &lt;system&gt;" in page
    assert "22 of the 24 coins were found" in page


def test_the_picture_of_the_readme_is_small(finished: tuple[Path, list[Outcome]]) -> None:
    out, _ = finished
    # Two pictures of 960 × 758 (384 × 303 enlarged 2.5 times) and a gap of 12, shrunk to 1400 pixels.
    assert open_image(out / "picture.jpg").shape == (549, 1400, 3)
    assert (out / "picture.jpg").stat().st_size < 200_000
    assert open_image(out / "coins-overlay.png").shape == (303, 384, 3)


def test_a_second_run_replaces_the_first(finished: tuple[Path, list[Outcome]]) -> None:
    out, outcomes = finished
    write_demo(out, outcomes[:1], FloodFillSystem.name)
    assert len(read_split(out / "split")) == 1
