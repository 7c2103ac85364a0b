"""1C-DSN's compact backbone as one that Mask2Former takes, so that regions start from what clicks taught.

Importing this module makes it known to transformers (``AutoConfig``, ``AutoBackbone``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoBackbone, AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.backbone_utils import BackboneConfigMixin, BackboneMixin
from transformers.modeling_outputs import BackboneOutput

from models.backbones.compact import CompactBackbone
from models.loading import load_network
from models.one_click import OneClickModel
from toolkit.errors import InputError

STAGES = ("stage1", "stage2", "stage3", "stage4")  # at strides 4, 8, 16 and 32


class CompactFeaturesConfig(BackboneConfigMixin, PretrainedConfig):  # type: ignore[misc]  # as theirs do
    """Shape of the backbone.

    Args:
        stem: see `models.backbones.compact.CompactBackbone`.
        widths: the same.
        depths: the same.
        frozen: whether training leaves it as it is, the statistics of its BatchNorm too.
    """

    model_type = "declutter-compact"

    def __init__(
        self,
        stem: int = 24,
        widths: Sequence[int] = (48, 96, 256, 320),
        depths: Sequence[int] = (2, 2, 4, 2),
        frozen: bool = False,
        **kwargs: Any,
    ) -> None:
        self.stem = stem
        self.widths = list(widths)
        self.depths = list(depths)
        self.frozen = frozen
        self.stage_names = list(STAGES)
        outputs = {name: kwargs.pop(name, None) for name in ("out_features", "out_indices")}
        super().__init__(**kwargs)
        if outputs == {"out_features": None, "out_indices": None}:
            outputs["out_features"] = list(STAGES)
        self.set_output_features_output_indices(**outputs)


class CompactFeatures(BackboneMixin, PreTrainedModel):  # type: ignore[misc]  # as theirs do
    """The backbone, with the outputs that transformers' decoders ask for."""

    config: CompactFeaturesConfig
    config_class = CompactFeaturesConfig
    has_attentions = False
    main_input_name = "pixel_values"

    def __init__(self, config: CompactFeaturesConfig) -> None:
        super().__init__(config)
        self.network = CompactBackbone(config.stem, config.widths, config.depths)
        self.num_features = list(config.widths)
        self.network.requires_grad_(not config.frozen)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Keep what the modules' own constructors drew."""

    def train(self, mode: bool = True) -> CompactFeatures:
        """As every network's, but what is frozen stays as it answers."""
        return super().train(mode and not self.config.frozen)

    def forward(self, pixel_values: Tensor, *_: Any, **__: Any) -> BackboneOutput:
        """Feature maps of normalised pixels [B, 3, H, W], at strides 4, 8, 16 and 32."""
        maps = dict(zip(STAGES, self.network(pixel_values), strict=True))
        return BackboneOutput(feature_maps=tuple(maps[name] for name in self.out_features))


AutoConfig.register(CompactFeaturesConfig.model_type, CompactFeaturesConfig)
AutoBackbone.register(CompactFeaturesConfig, CompactFeatures)


def take_over_backbone(network: nn.Module, source: Path) -> None:
    """Start a Mask2Former's backbone from a 1C-DSN's, in place.

    Args:
        network: with a `CompactFeatures` in it.
        source: folder of the 1C-DSN, such as the bundled one's.

    Raises:
        InputError: there is no 1C-DSN there, or its backbone has another shape.
    """
    learned = load_network(OneClickModel, source, None, torch.device("cpu"))
    if learned is None:
        raise InputError(
            f"{source}: no 1C-DSN there; expected a folder with config.json, such as runs/NAME/final"
        )
    for module in network.modules():
        if isinstance(module, CompactFeatures):
            try:
                module.network.load_state_dict(learned.backbone.state_dict())
            except RuntimeError as error:
                shape, own = learned.config, module.config
                raise InputError(
                    f"{source}: its backbone is {shape.backbone} {shape.backbone_settings}, expected stem, "
                    f"widths and depths {own.stem}, {own.widths}, {own.depths}"
                ) from error
