"""`declutter click`: one photo, one or more clicks, the clicked objects and their siblings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from toolkit.clicks import Click
    from toolkit.selection import Instance
    from toolkit.systems import Scene

DUPLICATE_IOU = 0.5  # two masks that overlap more than this are one object


class NothingFoundError(InputError):
    """There is no object under a click."""


def parse_click(text: str) -> Click:
    """Turn `X,Y` (pixels of the upright photo, origin top-left) into a click.

    Raises:
        InputError: not two finite numbers.
    """
    from math import isfinite

    from toolkit.clicks import Click

    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--at {text}: expected X,Y in pixels, such as --at 412,300") from error
    if not (isfinite(x) and isfinite(y)):
        raise InputError(f"--at {text}: expected X,Y in pixels, such as --at 412,300")
    return Click(x, y)


def check_inside(clicks: Sequence[Click], height: int, width: int) -> None:
    """Refuse clicks outside the photo.

    Raises:
        InputError: a click outside.
    """
    for click in clicks:
        if not (0 <= click.x < width and 0 <= click.y < height):
            raise InputError(
                f"--at {click.x:g},{click.y:g}: outside the photo, which is {width} pixels wide and "
                f"{height} high; give x below {width} and y below {height}"
            )


def select(scene: Scene, clicks: Sequence[Click], *, similar: bool) -> list[Instance]:
    """Select what the clicks ask for, each object once.

    Args:
        scene: the encoded photo.
        clicks: positive clicks, one per object or group, inside the photo.
        similar: whether each click selects all the siblings of its object too.

    Returns:
        Instances without duplicates, each group's clicked object first; `group` numbers the groups from 0. A
        click on something that an earlier click already selected adds its new siblings to that click's group.

    Raises:
        NothingFoundError: no object under a click.
        InputError: siblings asked of a scene that finds none.
    """
    from toolkit.systems import GroupScene

    if similar:
        if not isinstance(scene, GroupScene):
            raise InputError("this system selects single objects only; give --single in place of --similar")
        answers = [scene.select_similar(click) for click in clicks]
    else:
        answers = [[found] if found else [] for found in scene.segment_each(clicks)]
    selection: list[Instance] = []
    groups = 0
    for click, answer in zip(clicks, answers, strict=True):
        if not answer:
            raise NothingFoundError(
                f"--at {click.x:g},{click.y:g}: no object found under this click; click on the middle of one"
            )
        known = find_duplicate(answer[0], selection)
        group = groups if known is None else known.group
        groups += known is None
        for instance in answer:
            if find_duplicate(instance, selection) is None:
                selection.append(replace(instance, group=group))
    return selection


def find_duplicate(instance: Instance, selection: Sequence[Instance]) -> Instance | None:
    """The member of a selection that is the same object, or None."""
    from toolkit.masks import mask_iou

    left, top, right, bottom = instance.box
    for other in selection:
        apart = other.box[0] >= right or other.box[2] <= left or other.box[1] >= bottom or other.box[3] <= top
        if not apart and mask_iou(instance.mask, other.mask) > DUPLICATE_IOU:
            return other
    return None


def write_selection(
    out: Path,
    photo_name: str,
    image: np.ndarray,
    selection: Sequence[Instance],
    clicks: Sequence[Click],
    *,
    remove: bool,
) -> list[Path]:
    """Write `selection.json` (COCO), `overlay.png` and, with `remove`, `cleaned.png`.

    Args:
        out: folder, created where missing.
        photo_name: the name recorded in the COCO file.
        image: uint8 [H, W, 3].
        selection: instances with masks bool [H, W].
        clicks: drawn on the overlay.
        remove: whether to write the photo without the selected objects.

    Returns:
        The files written.

    Raises:
        InputError: the folder cannot be made.
    """
    from toolkit.drawing import draw_overlay
    from toolkit.files import write_json_atomic
    from toolkit.image import save_image
    from toolkit.inpaint import remove_objects
    from toolkit.selection import selection_to_coco

    height, width = image.shape[:2]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"--out {out}: cannot make this folder ({error.strerror}); choose another"
        ) from error
    files = [out / "selection.json", out / "overlay.png"]
    write_json_atomic(files[0], selection_to_coco(selection, photo_name, height, width))
    save_image(files[1], draw_overlay(image, selection, clicks))
    if remove:
        files.append(out / "cleaned.png")
        save_image(files[2], remove_objects(image, [instance.mask for instance in selection]))
    return files


def click(
    photo: Annotated[Path, typer.Argument(help="The photo.")],
    at: Annotated[list[str], typer.Option("--at", metavar="X,Y", help="A click in pixels; may be repeated.")],
    similar: Annotated[
        bool | None,
        typer.Option(
            "--similar/--single",
            help="All like the clicked objects, where the system finds them (the default), or only these.",
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Also write the photo without them.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; PHOTO-selection when not given.")
    ] = None,
    system: Annotated[
        str | None,
        typer.Option(
            "--system",
            "--weights",
            metavar="NAME",
            help="Another than the bundled SimpSON: a name (grabcut, …), or a folder or hub id of weights.",
        ),
    ] = None,
) -> None:
    """Select the object under each click and all its siblings in a photo."""
    clicks = [parse_click(text) for text in at]
    from time import perf_counter

    from toolkit.image import open_image

    image = open_image(photo)
    check_inside(clicks, *image.shape[:2])
    from models.loading import load_system
    from toolkit.systems import GroupScene

    loaded = load_system(system)
    started = perf_counter()
    scene = loaded.encode(image)
    encoded = perf_counter()
    asked = isinstance(scene, GroupScene) if similar is None else similar
    selection = select(scene, clicks, similar=asked)
    selected = perf_counter()
    folder = out if out is not None else Path(f"{photo.stem}-selection")
    files = write_selection(folder, photo.name, image, selection, clicks, remove=remove)
    objects = "1 object" if len(selection) == 1 else f"{len(selection)} objects"
    typer.echo(
        f"{objects} selected: photo encoded in {encoded - started:.2f} s, "
        f"clicks answered in {selected - encoded:.2f} s"
    )
    for file in files:
        typer.echo(f"  {file}")
