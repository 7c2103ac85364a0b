"""FocalClick: a coarse mask at low resolution, a refined one near the click, merged with the mask before."""

from models.systems.clicking.definition import SystemDefinition
from models.systems.focalclick.config import FocalConfig
from models.systems.focalclick.network import FocalNetwork, focal_works
from models.systems.focalclick.settings import FocalTraining
from models.systems.focalclick.stepper import FocalStepper
from models.systems.focalclick.task import focal_task

# Sizes and NoC@90 with COCO and LVIS: EMC-Click (Du et al., 2023), tables 1 (whose FLOPs are multiply-adds)
# and 3.
SYSTEM = SystemDefinition(
    config=FocalConfig,
    network=FocalNetwork,
    stepper=FocalStepper,
    task=focal_task,
    training_settings=FocalTraining,
    works=focal_works,
    published={
        "focalclick-hrnet-18s": "4.23 M, 3.82 GMACs (7.6 GFLOPs) at 256 px; NoC@90 Berkeley 2.66, SBD 6.79",
        "focalclick-hrnet-32": "31.0 M, 17.1 GMACs (34.2 GFLOPs) at 256 px; NoC@90 Berkeley 2.36, SBD 6.51",
        "focalclick-mit-b0": "3.74 M, 1.94 GMACs (3.9 GFLOPs) at 256 px; NoC@90 Berkeley 2.27, SBD 6.86",
        "focalclick-mit-b3": "45.6 M, 12.9 GMACs (25.8 GFLOPs) at 256 px; NoC@90 Berkeley 1.92, SBD 5.59",
    },
)
