"""How right is what a selection found beside the clicked object."""

from models.judge.config import JudgeConfig
from models.judge.model import JudgeModel

__all__ = ["JudgeConfig", "JudgeModel"]
