"""Image backbones: four feature maps at strides 4, 8, 16 and 32."""

from models.backbones.base import Backbone, EarlyFusionBackbone
from models.backbones.build import build_backbone
from models.backbones.compact import CompactBackbone

__all__ = ["Backbone", "CompactBackbone", "EarlyFusionBackbone", "build_backbone"]
