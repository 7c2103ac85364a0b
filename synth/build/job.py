"""What a build is asked for: everything that decides its bytes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from synth.settings import SynthSettings

ATTEMPTS = 20  # photos tried for one image before it is given up


@dataclass(frozen=True)
class Job:
    """A build, as every worker gets it.

    Attributes:
        photos: folder of the split (or of scenes) to paste into.
        donors: folder or JSON file of the split to copy from; None copies the photos' own objects only.
        settings: of the synthesis.
        count: images to make.
        seed: of every choice.
        photos_images: folder of the photos' files, where it is not the usual one.
        donors_images: folder of the donors' files, where it is not the usual one.
        regions: folder of index maps for photos that have none beside them.
        cutouts: folder where workers share cut-outs; None for none.
    """

    photos: str
    donors: str | None
    settings: SynthSettings
    count: int
    seed: int
    photos_images: str | None = None
    donors_images: str | None = None
    regions: str | None = None
    cutouts: str | None = None
