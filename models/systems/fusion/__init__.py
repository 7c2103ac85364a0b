"""Multi-stage fusion: one click reaches the network at its input and again before its head.

Source: Majumder et al., "Multi-Stage Fusion for One-Click Segmentation" (2020).
"""

from models.systems.clicking.definition import SystemDefinition
from models.systems.fusion.config import FusionConfig
from models.systems.fusion.network import FusionNetwork
from models.systems.fusion.task import FusionTask, FusionTraining

# Section 4.2 for the size, section 1 for the share. 195.8 MB are 48.95 M numbers of 4 bytes.
_SIZE = (
    "Majumder et al.: 195.8 MB in fp32. The text leaves the head's inner widths open; with four branches of "
    "128 channels and a 1x1 convolution the network has 48.81 M parameters, with batch-norm statistics "
    "48.92 M numbers or 195.7 MB. Fusion's 'less than 1.5 %' more parameters are measured against late "
    "fusion on VGG-16, which adds 100 M; beside early fusion on the ResNet it is 8.8 %"
)

SYSTEM = SystemDefinition(
    config=FusionConfig,
    network=FusionNetwork,
    task=FusionTask,
    training_settings=FusionTraining,
    published={"fusion-r101": _SIZE, "fusion-r101-late": _SIZE},
)
