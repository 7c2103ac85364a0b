"""Tiny networks with random weights, for tests that need no trained ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from models.cpn import ProposalConfig, ProposalModel
from models.folding import fold_batch_norm
from models.one_click import OneClickConfig, OneClickModel
from models.pvm import VerificationConfig, VerificationModel
from models.refiner import RefinerConfig, RefinerModel

BACKBONE = {"stem": 8, "widths": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}
CHANNELS = 16  # of the pyramid

Settled = TypeVar("Settled", bound=nn.Module)


def one_click_config(**changes) -> OneClickConfig:
    """A 1C-DSN of some 30 k parameters."""
    settings = {
        "backbone_settings": BACKBONE,
        "pyramid_channels": CHANNELS,
        "click_channels": 8,
        "head_channels": 16,
        "kernel_channels": 16,
        "mask_channels": 16,
        "mask_depth": 1,
    }
    return OneClickConfig(**{**settings, **changes})


def random_one_click(seed: int = 0, **changes) -> OneClickModel:
    """Lively outputs: normalisations that are not the identity, scores, boxes and masks that vary."""
    torch.manual_seed(seed)
    network = OneClickModel(one_click_config(**changes))
    shake_norms(network)
    heads = network.heads
    for conv, spread in ((heads.class_logits, 0.3), (heads.box_distances, 0.15), (heads.centerness, 0.3)):
        nn.init.normal_(conv.weight, std=spread)
    nn.init.zeros_(heads.class_logits.bias)
    nn.init.normal_(heads.kernels.weight, std=0.1)
    nn.init.normal_(network.mask_branch.project.weight, std=0.5)
    return network.eval()


def shake_norms(network: nn.Module) -> None:
    """Give every BatchNorm statistics and weights that are not the identity's."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                nn.init.normal_(module.bias, std=0.3)
                nn.init.uniform_(module.weight, 0.5, 1.5)


def settle_norms(network: Settled, *inputs: Any) -> Settled:
    """Give every BatchNorm the statistics of some inputs: through a new network little passes."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(*inputs)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
    return network.eval()


def random_cpn(seed: int = 0, **changes) -> ProposalModel:
    """A CPN for `random_one_click`'s pyramid."""
    torch.manual_seed(seed)
    settings = {"feature_channels": CHANNELS, "channels": CHANNELS, "attention_heads": 2, "adapter_depth": 1}
    return ProposalModel(ProposalConfig(**{**settings, **changes})).eval()


def random_pvm(seed: int = 0, **changes) -> VerificationModel:
    """A PVM for `random_one_click`'s pyramid."""
    torch.manual_seed(seed)
    settings = {
        "feature_channels": CHANNELS,
        "crop": 32,
        "backbone_settings": BACKBONE,
        "grid": 4,
        "hidden": 16,
        "embedding": 8,
    }
    network = VerificationModel(VerificationConfig(**{**settings, **changes}))
    shake_norms(network)
    return network.eval()


def random_refiner(seed: int = 0, trained: bool = True, **changes) -> RefinerModel:
    """A mask refiner; one that is not ``trained`` changes no mask."""
    torch.manual_seed(seed)
    settings = {"crop": 32, "backbone_settings": BACKBONE, "channels": 16, "fine_channels": 8}
    network = RefinerModel(RefinerConfig(**{**settings, **changes}))
    shake_norms(network)
    if trained:
        for conv in (network.guide, network.change):
            nn.init.normal_(conv.weight, std=0.1)
    return network.eval()


def eager_one_click(seed: int = 0) -> OneClickModel:
    """A 1C-DSN that answers every click: with a mask that fills its box, of some 2 strides."""
    network = random_one_click(seed)
    nn.init.constant_(network.heads.box_distances.bias, 1.0)
    nn.init.normal_(network.heads.kernels.weight, std=0.01)
    with torch.no_grad():
        network.heads.kernels.bias[-1] = 3.0
    return network


def folded(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a network as a selector holds them."""
    copied = copy.deepcopy(network).eval()
    fold_batch_norm(copied)
    return copied.state_dict()


def save_selector(root: Path) -> Path:
    """The folder of an eager selector: 1C-DSN, CPN and PVM as `Selector.load` reads them."""
    eager_one_click().save_pretrained(root / "one-click")
    proposals = random_cpn()
    nn.init.constant_(proposals.bias, 0.0)  # confidences around a half
    proposals.save_pretrained(root / "cpn")
    random_pvm().save_pretrained(root / "pvm")
    return root
