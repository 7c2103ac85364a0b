"""PVM: the proposal verification module (SimpSON, section 3.3)."""

from models.pvm.config import VerificationConfig
from models.pvm.model import VerificationModel

__all__ = ["VerificationConfig", "VerificationModel"]
