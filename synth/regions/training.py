"""Training of the compact region extractor on photos whose regions are known, if only in part.

Mask2Former's own loss matches masks and cannot leave pixels out, but most of these photos are labelled in
part. So the loss is taken on what the extractor decides by: the map of class probabilities that the queries'
classes and masks add up to, at the pixels that are known, after every decoder layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.pixels import normalised
from synth.photos import read_photos
from synth.regions.crops import CLASSES, EXCEPT, PhotoChooser, class_weights, training_sample
from synth.regions.labels import REGION_NAMES, UNKNOWN
from toolkit.errors import InputError

_EPSILON = 1e-4
# What transformers' image processors subtract and divide by.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class CompactConfig:
    """The compact Mask2Former.

    Attributes:
        width: channels of the pyramid, the masks and the queries.
        heads: attention heads; they divide the width into powers of two.
        queries: masks the decoder proposes.
        encoder_layers: deformable attention layers of the pixel decoder.
        decoder_layers: of the transformer decoder, one more than it has.
        stem: channels of the backbone at stride 2.
        backbone: channels of its four stages.
        depths: blocks of its four stages.
        frozen: whether training leaves the backbone as it is.
        side: shorter side that photos are scaled to, pixels.
    """

    width: int = 64
    heads: int = 4
    queries: int = 20
    encoder_layers: int = 2
    decoder_layers: int = 4
    stem: int = 24
    backbone: tuple[int, int, int, int] = (48, 96, 256, 320)
    depths: tuple[int, int, int, int] = (2, 2, 4, 2)
    frozen: bool = False
    side: int = 224


def make_model(config: CompactConfig) -> nn.Module:
    """A compact Mask2Former with random weights; its labels are the regions' names."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation
    from transformers.utils import logging

    from synth.regions.backbone import CompactFeaturesConfig

    logging.set_verbosity_error()  # it warns of every backbone but Swin
    names = {index: REGION_NAMES[index] for index in range(CLASSES)}
    # Keywords of the base class, which type checkers do not see.
    labels: dict[str, Any] = {
        "num_labels": CLASSES,
        "id2label": names,
        "label2id": {name: index for index, name in names.items()},
    }
    backbone = CompactFeaturesConfig(config.stem, config.backbone, config.depths, config.frozen)
    return Mask2FormerForUniversalSegmentation(
        Mask2FormerConfig(
            backbone_config=backbone,
            feature_size=config.width,
            mask_feature_size=config.width,
            hidden_dim=config.width,
            encoder_feedforward_dim=4 * config.width,
            dim_feedforward=4 * config.width,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            num_attention_heads=config.heads,
            num_queries=config.queries,
            **labels,
        )
    )


def make_processor(config: CompactConfig) -> Any:
    """The image processor that goes with the compact Mask2Former."""
    from transformers import Mask2FormerImageProcessorPil

    size = {"shortest_edge": config.side, "longest_edge": 2 * config.side}
    return Mask2FormerImageProcessorPil(size=size, ignore_index=UNKNOWN)


class RegionsTask:
    """Random crops of photos with known regions; see `toolkit.training.TrainingTask`.

    Args:
        train: folder of scenes or of a split with maps of regions.
        val: another one to validate on; None for none.
        config: of the model.
        crop: side of the training crops, pixels.
        seed: of the weights and the samples.
        balanced: share of the crops that are chosen by class, each class as likely; see `PhotoChooser`.
        backbone: folder of a 1C-DSN whose backbone this one starts from; None for random weights.
    """

    def __init__(
        self,
        train: str,
        val: str | None,
        config: CompactConfig,
        crop: int = 160,
        seed: int = 0,
        balanced: float = 0.5,
        backbone: Path | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.model: nn.Module = make_model(config)
        if backbone is not None:
            from synth.regions.backbone import take_over_backbone

            take_over_backbone(self.model, backbone)
        self.config, self.crop, self.seed = config, crop, seed
        self.photos = read_photos(train)
        self.chooser = PhotoChooser(self.photos, balanced, seed)
        if not self.chooser.records:
            raise InputError(f"{train}: no photo has a map of its regions to learn from")
        self.val = None if val is None else read_photos(val)
        self.weights = torch.from_numpy(class_weights(self.chooser.shares))

    def sample(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A crop uint8 [S, S, 3] and its classes uint8 [S, S]."""
        return training_sample(self.photos, self.chooser, self.crop, index)

    def collate(self, samples: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
        """Stack samples."""
        return {
            "pixels": torch.from_numpy(np.stack([pixels for pixels, _ in samples])),  # [B, S, S, 3]
            "classes": torch.from_numpy(np.stack([classes for _, classes in samples])),  # [B, S, S]
        }

    def losses(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weighted cross-entropy and Dice of the class probabilities after every decoder layer."""
        output = model(pixel_values=normalise(batch["pixels"]), output_auxiliary_logits=True)
        layers = [
            (one["class_queries_logits"], one["masks_queries_logits"])
            for one in output.auxiliary_logits or []
        ]
        layers.append((output.class_queries_logits, output.masks_queries_logits))
        weights = self.weights.to(batch["pixels"].device)
        # Sums over whole maps need more than the 8 bits of bfloat16.
        with torch.autocast(batch["pixels"].device.type, enabled=False):
            parts = [map_losses(c.float(), m.float(), batch["classes"], weights) for c, m in layers]
        entropy = torch.stack([part[0] for part in parts]).mean()
        dice = torch.stack([part[1] for part in parts]).mean()
        return {"total": entropy + dice, "entropy": entropy, "dice": dice}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weight decay on weights of two or more dimensions only."""
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        return [
            {"params": [p for p in parameters if p.ndim >= 2]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean intersection over union on the validation photos."""
        if self.val is None:
            return {}
        from synth.regions.evaluation import count_regions, scores
        from synth.regions.extractor import RegionExtractor
        from toolkit.report import Report

        device = str(next(model.parameters()).device)
        extractor = RegionExtractor(model, make_processor(self.config), "training", device)
        result = scores(count_regions(extractor.extract, self.val, Report()).counts.sum(axis=0))
        found = {name: value for name, value in result.items() if value is not None}
        return {"score": found.get("miou", 0.0), **found}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network in half precision, and its image processor."""
        import copy

        inner: Any = getattr(model, "module", model)
        copy.deepcopy(inner).half().save_pretrained(folder)
        make_processor(self.config).save_pretrained(folder)


def map_losses(
    class_logits: Tensor, mask_logits: Tensor, classes: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice of the map that queries add up to.

    A pixel that may be of any class but c adds -log(1 - p_c), and counts in the Dice of class c only.

    Args:
        class_logits: [B, Q, C + 1], the last for "no object".
        mask_logits: [B, Q, h, w].
        classes: uint8 [B, H, W], c or `EXCEPT` + c; other values are unknown and do not count.
        weights: [C].
    """
    votes = class_logits.softmax(-1)[..., :-1]  # [B, Q, C]
    scores = torch.einsum("bqc,bqhw->bchw", votes, mask_logits.sigmoid()) + _EPSILON
    probabilities = scores / scores.sum(1, keepdim=True)  # [B, C, h, w]
    target = nn.functional.interpolate(classes[:, None].float(), probabilities.shape[-2:])[:, 0].long()
    hot = _one_hot(target, weights.numel())  # [B, C, h, w]
    barred = _one_hot(target - EXCEPT, weights.numel())  # [B, C, h, w]
    known = hot.sum(1, keepdim=True)  # [B, 1, h, w], 0 or 1
    weight = weights[:, None, None]
    log_other = (1 - probabilities).clamp_min(_EPSILON).log()
    entropy = -((hot * probabilities.clamp_min(_EPSILON).log() + barred * log_other) * weight).sum()
    total = ((hot + barred) * weight).sum().clamp_min(1.0)
    found = probabilities * (known + barred)
    overlap = (found * hot).sum((0, 2, 3))
    size = (found + hot).sum((0, 2, 3))
    present = hot.sum((0, 2, 3)) > 0
    dice = (1 - (2 * overlap + 1) / (size + 1))[present]
    return entropy / total, dice.mean() if present.any() else entropy * 0


def _one_hot(target: Tensor, count: int) -> Tensor:
    """Int64 [B, h, w] to float32 [B, count, h, w]; values outside 0 … count - 1 set nothing."""
    inside = (target >= 0) & (target < count)
    hot = nn.functional.one_hot(target.clamp(0, count - 1), count) * inside[..., None]
    return hot.permute(0, 3, 1, 2).float()


def normalise(images: Tensor) -> Tensor:
    """Pixels uint8 [B, H, W, 3] as the image processor gives them to the network, float32 [B, 3, H, W]."""
    mean, deviation = ([255 * value for value in values] for values in (MEAN, DEVIATION))
    return normalised(images.permute(0, 3, 1, 2), mean, deviation, torch.float32)
