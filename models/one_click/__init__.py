"""1C-DSN: the one-click distractor segmentation network (SimpSON, section 3.1)."""

from models.one_click.config import OneClickConfig
from models.one_click.model import OneClickModel

__all__ = ["OneClickConfig", "OneClickModel"]
