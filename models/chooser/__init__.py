"""Which of the masks that are proposed for a click is meant."""

from models.chooser.config import ChooserConfig
from models.chooser.model import ChooserModel

__all__ = ["ChooserConfig", "ChooserModel"]
