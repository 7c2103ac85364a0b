"""EMC-Click: the whole network on the first click, a light correction of the mask on every later one.

Source: Du et al., "Efficient Mask Correction for Click-Based Interactive Image Segmentation" (CVPR 2023).
"""

from models.systems.clicking.definition import SystemDefinition
from models.systems.emc_click.config import EmcClickConfig
from models.systems.emc_click.definition import PUBLISHED, emc_click_task, works
from models.systems.emc_click.network import EmcClickNetwork
from models.systems.emc_click.stepper import EmcClickStepper
from models.systems.emc_click.training_settings import EmcClickTraining

SYSTEM = SystemDefinition(
    config=EmcClickConfig,
    network=EmcClickNetwork,
    stepper=EmcClickStepper,
    task=emc_click_task,
    training_settings=EmcClickTraining,
    works=works,
    published=PUBLISHED,
)
