"""iCMFormer++: like objects recalled with the help of one that is segmented already."""

from __future__ import annotations

from types import MappingProxyType

import torch

from models.systems.clicking.definition import SystemDefinition, Work, blank_click
from models.systems.icmformer_pp.config import IcmformerPPConfig
from models.systems.icmformer_pp.exemplar import ExemplarInput
from models.systems.icmformer_pp.network import IcmformerPPNetwork
from models.systems.icmformer_pp.scene import RecallScene
from models.systems.icmformer_pp.stepper import ExemplarStepper
from models.systems.icmformer_pp.task import ExemplarSettings, RecallTask


@torch.no_grad()
def works(network: IcmformerPPNetwork) -> list[Work]:
    """One click with an exemplar that is new, and with one that is encoded."""
    side = network.config.input_size
    image, points, previous = blank_click(side)
    exemplar = ExemplarInput(previous, points, torch.zeros(1, 4))
    encoded = network.encode_exemplar(image, exemplar)
    return [
        Work(
            f"one click with an exemplar, {side} × {side} px",
            lambda: network(image, points, previous, exemplar),
        ),
        Work("a further click with the same", lambda: network(image, points, previous, encoded)),
    ]


SYSTEM = SystemDefinition(
    config=IcmformerPPConfig,
    network=IcmformerPPNetwork,
    stepper=ExemplarStepper,
    task=RecallTask,
    training_settings=ExemplarSettings,
    works=works,
    scene=RecallScene,
    # Li et al. (2024), tables 3, 4 and 10. Ours has 0.14 % fewer parameters and 25 % fewer FLOPs:
    # the paper leaves open how many streams pass S1 (ours: one per branch, photo and clicks added up), where
    # attention is windowed, and at which size the exemplar's boxes pass the ResNet.
    published=MappingProxyType(
        {
            "icmformer-pp-b-mois": "178.73 M parameters, 496.32 GFLOPs at 448; COCO MOIS, additional: "
            "NoC85 8.47, NoC90 11.92, NoFI85 1561, mIoU5 82.47, mIoU10 85.89; "
            "collective: NoC85 10.36, NoC90 13.84. FLOPs differ as the paper leaves open how many streams "
            "pass S1 and at which size the exemplar's boxes pass the ResNet",
        }
    ),
)
