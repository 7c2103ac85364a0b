"""The mask refiner: a second look at a found object, in a crop that shows it at one size."""

from models.refiner.config import RefinerConfig
from models.refiner.model import RefinerModel

__all__ = ["RefinerConfig", "RefinerModel"]
