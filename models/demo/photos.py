"""The demo photos: files inside installed packages, each with one click chosen by looking at it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import InputError


@dataclass(frozen=True)
class DemoPhoto:
    """One photo and what to ask of it.

    Attributes:
        name: short name, used for file names.
        package: import name of the package that ships the photo.
        file: path inside that package.
        click: (x, y) in pixels.
        asked: what the click is on, and what its siblings are.
        credit: who made the photo, and its licence.
    """

    name: str
    package: str
    file: str
    click: tuple[float, float]
    asked: str
    credit: str

    def path(self) -> Path:
        """The photo on disk.

        Raises:
            InputError: the package is not installed, or does not ship the photo.
        """
        spec = importlib.util.find_spec(self.package)
        places = list(spec.submodule_search_locations or []) if spec else []
        path = Path(places[0], self.file) if places else None
        if path is None or not path.is_file():
            raise InputError(
                f"demo photo {self.name}: {self.package} does not bring {self.file}; "
                "install the extra with pip install 'declutter[demo]'"
            )
        return path


PHOTOS = (
    DemoPhoto(
        name="coins",
        package="skimage",
        file="data/coins.png",
        click=(101, 195),
        asked="One coin of 24, of different sizes and faces. Siblings: the other 23.",
        credit="Greek coins from Pompeii, Brooklyn Museum Collection; no known copyright restrictions",
    ),
    DemoPhoto(
        name="gravel",
        package="skimage",
        file="data/gravel.png",
        click=(177, 126),
        asked="One stone among hundreds that touch each other. Siblings: every stone that stands out.",
        credit="CC0Textures, Gravel04; CC0",
    ),
    DemoPhoto(
        name="brick",
        package="skimage",
        file="data/brick.png",
        click=(237, 110),
        asked="One brick of a pavement. Siblings: the other bricks.",
        credit="CC0Textures, Bricks25; CC0",
    ),
    DemoPhoto(
        name="hubble",
        package="skimage",
        file="data/hubble_deep_field.jpg",
        click=(421, 404),
        asked="One galaxy. Siblings: other bright galaxies, most of them a few pixels wide.",
        credit="NASA, Hubble eXtreme Deep Field; public domain",
    ),
    DemoPhoto(
        name="rocket",
        package="skimage",
        file="data/rocket.jpg",
        click=(364, 398),
        asked="One flood light at a launch pad. Siblings: the other lights, five of them bright.",
        credit="SpaceX, DSCOVR launch; CC0",
    ),
    DemoPhoto(
        name="flower",
        package="sklearn",
        file="datasets/images/flower.jpg",
        click=(308, 222),
        asked="The large dahlia. Siblings: the second one, cut off by the lower edge.",
        credit="Flickr user vultilion; CC BY 2.0",
    ),
    DemoPhoto(
        name="coffee",
        package="skimage",
        file="data/coffee.png",
        click=(364, 281),
        asked="The bowl of the spoon. There is only one: nothing else should be selected.",
        credit="Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0",
    ),
)
