"""RITM: one network that sees the photo, the clicks and its own last mask."""

from models.systems.clicking.definition import SystemDefinition
from models.systems.ritm.config import RitmConfig
from models.systems.ritm.network import RitmNetwork

SYSTEM = SystemDefinition(config=RitmConfig, network=RitmNetwork)
