"""RITM: one network that sees the photo, the clicks and its own last mask."""

from models.systems.clicking.definition import SystemDefinition
from models.systems.ritm.config import RitmConfig
from models.systems.ritm.network import RitmNetwork

# Sizes and NoC@90 with COCO and LVIS: EMC-Click (Du et al., 2023), tables 1 (whose FLOPs are multiply-adds)
# and 3.
SYSTEM = SystemDefinition(
    config=RitmConfig,
    network=RitmNetwork,
    published={
        "ritm-hrnet-18s": "4.22 M, 8.96 GMACs (17.9 GFLOPs) at 400 px; NoC@90 Berkeley 2.60, SBD 6.48",
        "ritm-hrnet-18": "10.0 M, 15.4 GMACs (30.8 GFLOPs) at 400 px; NoC@90 Berkeley 2.26, SBD 6.06",
        "ritm-hrnet-32": "31.0 M, 40.4 GMACs (80.8 GFLOPs) at 400 px; NoC@90 Berkeley 2.10, SBD 5.71",
    },
)
