"""BatchNorm folded into the convolutions before it, for networks that only answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from models.loading import Network, load_network
from models.one_click.layers import ConvUnit


def load_folded(
    kind: type[Network], root: str | os.PathLike[str], part: str | None, device: torch.device
) -> Network | None:
    """A network that will only answer; see :func:`models.loading.load_network`."""
    network = load_network(kind, root, part, device)
    if network is not None:
        fold_batch_norm(network)
    return network


@torch.no_grad()
def fold_batch_norm(network: nn.Module) -> None:
    """Fold, in place, every BatchNorm that follows a convolution at once.

    At inference both are one affine map, so the answers stay the same to rounding, without a pass over the
    maps for each normalisation. The network cannot be trained afterwards, nor saved for training.

    Args:
        network: In evaluation mode.

    Raises:
        ValueError: It is in training mode, where BatchNorm uses the statistics of the batch.
    """
    if network.training:
        raise ValueError("fold_batch_norm: the network is in training mode; call eval() first")
    for owner, conv_name, norm_name in list(_pairs(network)):
        conv, norm = owner.get_submodule(conv_name), owner.get_submodule(norm_name)
        if (
            type(conv) is not nn.Conv2d
            or type(norm) is not nn.BatchNorm2d
            or norm.running_mean is None
            or norm.running_var is None
        ):
            continue
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        owner.set_submodule(norm_name, nn.Identity())


def _pairs(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """What runs one directly after the other: the module that holds both, and their names in it."""
    for module in network.modules():
        if isinstance(module, ConvUnit):
            yield module, "conv", "norm"
        elif isinstance(module, nn.Sequential):
            names = list(dict(module.named_children()))
            yield from ((module, first, second) for first, second in pairwise(names))
