"""CPN: the click proposal network (SimpSON, section 3.2)."""

from models.cpn.config import ProposalConfig
from models.cpn.model import ProposalModel

__all__ = ["ProposalConfig", "ProposalModel"]
