"""Cut a split into parts by fractions; an image goes into one part, whole."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from toolkit.data.copying import copy_images
from toolkit.errors import InputError
from toolkit.report import Report
from toolkit.split import Split, SplitWriter
from toolkit.split.dataset import read_card


def assign(names: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """Choose the part of every image.

    Images are put in the order of a hash of seed and file name, and cut at the fractions. So the choice
    depends on neither the order of the file nor the machine, and each part has its exact share, rounded.

    Args:
        names: File names, all different.
        fractions: The share of each part; they sum to 1.
        seed: Another seed, another choice.

    Returns:
        The name of a part per image.

    Raises:
        InputError: A fraction is not positive, or they do not sum to 1.
    """
    if (
        not fractions
        or min(fractions.values()) <= 0
        or not math.isclose(sum(fractions.values()), 1, abs_tol=1e-6)
    ):
        given = ", ".join(f"{name}={share:g}" for name, share in fractions.items())
        raise InputError(
            f"fractions {given or 'missing'}: expected positive shares with sum 1, as train=0.8,val=0.2"
        )
    keys = [hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in names]
    order = sorted(range(len(names)), key=keys.__getitem__)
    cuts = [0, *(round(share * len(names)) for share in np.cumsum(list(fractions.values())).tolist())]
    cuts[-1] = len(names)
    chosen = [""] * len(names)
    for part, (first, last) in zip(fractions, pairwise(cuts), strict=True):
        for index in order[first:last]:
            chosen[index] = part
    return chosen


def partition(
    split: Split, out: Path, fractions: Mapping[str, float], seed: int, report: Report, *, link: bool = False
) -> None:
    """Write the parts of a split as `out/<part>`; ids, categories and all fields stay as they are.

    Args:
        split: What to cut.
        out: The folder to write the parts into.
        fractions: The share of each part; they sum to 1.
        seed: Another seed, another choice of images.
        report: Where images without a file are listed.
        link: Whether to link images instead of copying them.

    Raises:
        InputError: The fractions are wrong, or a part exists already.
    """
    chosen = np.array(assign([record.file_name for record in split], fractions, seed))
    for part, share in fractions.items():
        card = {
            **split.card,
            "made_by": "declutter data split",
            "made_from": split.root.resolve().name,
            "part": {"name": part, "share": share, "of": dict(fractions)},
            "seed": seed,
        }
        with SplitWriter(
            out / part,
            categories=split.categories,
            info=split.info,
            licenses=split.licenses,
            card=card,
            overwrite=_is_ours(out / part, card),
            link=link,
        ) as writer:
            copy_images(split.subset(np.flatnonzero(chosen == part)), writer, report, f"writing {part}")


def _is_ours(folder: Path, card: Mapping[str, object]) -> bool:
    """Say whether a folder holds this very part from an earlier run, perhaps killed at a later part."""
    there = read_card(folder)
    return all(there.get(key) == card[key] for key in ("made_by", "made_from", "part", "seed"))
