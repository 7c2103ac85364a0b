"""`declutter demo`: one click per photo, overlays, a page, and the selections as a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from models.demo.coins import CoinCount
    from models.demo.photos import DemoPhoto
    from toolkit.selection import Instance
    from toolkit.systems import System


PHOTO_FOLDER = "demo-photos"


@dataclass(frozen=True)
class Outcome:
    """What one click on one photo gave.

    Attributes:
        photo: what was asked.
        image: uint8 [H, W, 3].
        selection: the clicked object first; empty when nothing was found under the click.
        encode_seconds: time to encode the photo, once per photo.
        click_seconds: time to answer the click.
        coins: the count against the reference, on the photo of coins only.
    """

    photo: DemoPhoto
    image: np.ndarray
    selection: list[Instance]
    encode_seconds: float
    click_seconds: float
    coins: CoinCount | None = None

    @property
    def verdict(self) -> str:
        """One honest sentence on what was found."""
        if not self.selection:
            return "Nothing was found under the click."
        if self.coins is None:
            siblings = {1: "no sibling", 2: "1 sibling"}.get(
                len(self.selection), f"{len(self.selection) - 1} siblings"
            )
            return f"The clicked object and {siblings} were selected."
        missed, wrong = self.coins.of - self.coins.found, self.coins.not_coins
        return f"{self.coins.found} of the {self.coins.of} coins were found, {missed or 'none'} missed; " + {
            0: "no mask is wrong.",
            1: "1 mask is not a coin of its own.",
        }.get(wrong, f"{wrong} masks are not coins of their own.")


def run_photos(system: System, photos: Sequence[DemoPhoto]) -> Iterator[Outcome]:
    """Click once on each photo.

    Raises:
        InputError: a photo is not installed, or the system finds no siblings.
    """
    from models.click_command import NothingFoundError, select
    from models.demo.coins import count_coins, reference_coins
    from toolkit.clicks import Click
    from toolkit.image import open_image

    for photo in photos:
        image = open_image(photo.path())
        started = perf_counter()
        scene = system.encode(image)
        encoded = perf_counter()
        try:
            selection = select(scene, [Click(*photo.click)], similar=True)
        except NothingFoundError:
            selection = []
        answered = perf_counter()
        coins = None
        if photo.name == "coins":
            coins = count_coins([instance.mask for instance in selection], reference_coins(image))
        yield Outcome(photo, image, selection, encoded - started, answered - encoded, coins)


def write_split(folder: Path, outcomes: Sequence[Outcome], system_name: str) -> None:
    """Write the selections as a split: one category, siblings share a `group_id`."""
    from toolkit.masks import mask_to_rle
    from toolkit.selection import CATEGORY
    from toolkit.split import SplitWriter

    card = {
        "made_by": "declutter demo",
        "system": system_name,
        "clicks": {outcome.photo.name: list(outcome.photo.click) for outcome in outcomes},
    }
    with SplitWriter(folder, categories=[CATEGORY], card=card, overwrite=True) as writer:
        for outcome in outcomes:
            annotations = [
                {
                    "category_id": CATEGORY["id"],
                    "segmentation": mask_to_rle(instance.mask),
                    "group_id": 1,
                    "score": round(float(instance.score), 4),
                    "origin": {"kind": "real"},
                }
                for instance in outcome.selection
            ]
            photo = outcome.photo
            writer.add_image(
                photo.path(), annotations, license=photo.credit, source=f"{photo.package}/{photo.file}"
            )


def copy_photos(folder: Path, photos: Sequence[DemoPhoto]) -> None:
    """Put the photos themselves into a folder, for Label Studio to show."""
    from toolkit.files import write_bytes_atomic

    for photo in photos:
        source = photo.path()
        write_bytes_atomic(folder / f"{photo.name}{source.suffix}", source.read_bytes())


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures of the run: per photo, and of the coins."""
    photos = {
        outcome.photo.name: {
            "selected": len(outcome.selection),
            "encode_seconds": round(outcome.encode_seconds, 3),
            "click_seconds": round(outcome.click_seconds, 3),
            **({"coins": asdict(outcome.coins)} if outcome.coins else {}),
        }
        for outcome in outcomes
    }
    return {"photos": photos, "selected": sum(len(outcome.selection) for outcome in outcomes)}


def write_demo(out: Path, outcomes: Sequence[Outcome], system_name: str) -> Path:
    """Write everything of a run to `out` and return the page's path."""
    from models.demo.page import before_and_after, page_pictures, render_page
    from toolkit.clicks import Click
    from toolkit.drawing import draw_overlay
    from toolkit.files import write_json_atomic, write_text_atomic
    from toolkit.image import save_image
    from toolkit.inpaint import remove_objects
    from toolkit.report import Report

    report = Report(command="demo", system=system_name)
    pictures = {}
    for outcome in outcomes:
        overlay = draw_overlay(outcome.image, outcome.selection, [Click(*outcome.photo.click)])
        try:
            cleaned = remove_objects(outcome.image, [instance.mask for instance in outcome.selection])
        except InputError as error:
            report.add_skipped(f"{outcome.photo.name}: removal", str(error))
            cleaned = outcome.image
        pictures[outcome.photo.name] = page_pictures(outcome, cleaned)
        save_image(out / f"{outcome.photo.name}-overlay.png", overlay)
        save_image(out / f"{outcome.photo.name}-cleaned.png", cleaned)
        if not outcome.selection:
            report.add_skipped(outcome.photo.name, "no object found under the click")
    copy_photos(out / PHOTO_FOLDER, [outcome.photo for outcome in outcomes])
    save_image(out / "picture.jpg", before_and_after(pictures[outcomes[0].photo.name]), quality=80)
    write_split(out / "split", outcomes, system_name)
    write_json_atomic(out / "result.json", summarise(outcomes))
    report.write(out / "report.json")
    page = out / "index.html"
    write_text_atomic(page, render_page(outcomes, pictures, system_name))
    return page


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo-out"),
    weights: Annotated[
        str | None, typer.Option(help="Folder or hub id of other weights than the bundled ones.")
    ] = None,
) -> None:
    """Click once on each demo photo: overlays, a page to look at, and the selections as a split."""
    from rich.progress import track

    from models.demo.photos import PHOTOS
    from models.selector import Selector

    system = Selector.load(weights)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out {out}: cannot make this folder ({error.strerror}); choose another"
        ) from error
    outcomes = list(track(run_photos(system, PHOTOS), "Clicking", total=len(PHOTOS), transient=True))
    page = write_demo(out, outcomes, system.name)
    for outcome in outcomes:
        typer.echo(
            f"{outcome.photo.name:8} {len(outcome.selection):4} selected   "
            f"photo {outcome.encode_seconds:5.2f} s   click {outcome.click_seconds:5.2f} s   "
            + (outcome.verdict if outcome.coins else "")
        )
    typer.echo(f"Look at {page}")
