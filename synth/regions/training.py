"""Training of the compact region extractor on photos whose regions are known, if only in part.

Mask2Former's own loss matches masks and cannot leave pixels out, but most of these photos are labelled in
part. So the
loss is taken on what the extractor decides by: the map of class probabilities that the queries' classes and
    masks add
up to, at the pixels that are known, after every decoder layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from synth.photos import open_regions, read_photos, regions_file
from synth.regions.labels import REGION_NAMES, UNKNOWN
from toolkit.errors import InputError
from toolkit.split import Split

CLASSES = len(REGION_NAMES) - 1
_EPSILON = 1e-4
# What transformers' image processors subtract and divide by.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class CompactConfig:
    """The compact Mask2Former.

    Attributes:
        width: channels of the pyramid, the masks and the queries.
        heads: attention heads; they divide the width into powers of two.
        queries: masks the decoder proposes.
        encoder_layers: deformable attention layers of the pixel decoder.
        decoder_layers: of the transformer decoder, one more than it has.
        backbone: channels of the four stages.
        depths: blocks of the four stages.
        side: shorter side that photos are scaled to, pixels.
    """

    width: int = 64
    heads: int = 4
    queries: int = 20
    encoder_layers: int = 2
    decoder_layers: int = 4
    backbone: tuple[int, int, int, int] = (40, 80, 160, 224)
    depths: tuple[int, int, int, int] = (2, 2, 2, 1)
    side: int = 256


def make_model(config: CompactConfig) -> nn.Module:
    """A compact Mask2Former with random weights; its labels are the regions' names."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns of every backbone but Swin
    names = {index: REGION_NAMES[index] for index in range(CLASSES)}
    # Keywords of the base class, which type checkers do not see.
    stages: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
    labels: dict[str, Any] = {
        "num_labels": CLASSES,
        "id2label": names,
        "label2id": {name: index for index, name in names.items()},
    }
    backbone = ResNetConfig(
        embedding_size=config.backbone[0] // 2,
        hidden_sizes=list(config.backbone),
        depths=list(config.depths),
        layer_type="basic",
        **stages,
    )
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
    """

    def __init__(
        self, train: str, val: str | None, config: CompactConfig, crop: int = 192, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        self.model: nn.Module = make_model(config)
        self.config, self.crop, self.seed = config, crop, seed
        self.photos = read_photos(train)
        self.usable = [record for record in self.photos if regions_file(self.photos, record) is not None]
        if not self.usable:
            raise InputError(f"{train}: no photo has a map of its regions to learn from")
        self.val = None if val is None else read_photos(val)
        self.weights = class_weights(self.photos)

    def sample(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A crop float32 [3, S, S], normalised, and its classes uint8 [S, S]."""
        # Every photo once before any comes again.
        epoch, place = divmod(index, len(self.usable))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.usable))
        record = self.usable[int(order[place])]
        path = regions_file(self.photos, record)
        if path is None:
            raise InputError(f"{record.file_name}: its map of regions is gone")
        image = self.photos.open_image(record)
        regions = open_regions(path, record.height, record.width)
        rng = np.random.default_rng([self.seed, index, 1])
        image, regions = random_crop(image, regions, self.crop, rng)
        return normalise(random_colours(image, rng)), regions

    def collate(self, samples: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
        """Stack samples."""
        return {
            "pixels": torch.from_numpy(np.stack([pixels for pixels, _ in samples])),  # [B, 3, S, S]
            "classes": torch.from_numpy(np.stack([classes for _, classes in samples])),  # [B, S, S]
        }

    def losses(self, model: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weighted cross-entropy and Dice of the class probabilities after every decoder layer."""
        output = model(pixel_values=batch["pixels"], output_auxiliary_logits=True)
        layers = [
            (one["class_queries_logits"], one["masks_queries_logits"])
            for one in output.auxiliary_logits or []
        ]
        layers.append((output.class_queries_logits, output.masks_queries_logits))
        weights = self.weights.to(batch["pixels"].device)
        parts = [map_losses(*layer, batch["classes"], weights) for layer in layers]
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
        from synth.regions.evaluation import evaluate_regions
        from synth.regions.extractor import RegionExtractor
        from toolkit.report import Report

        device = str(next(model.parameters()).device)
        extractor = RegionExtractor(model, make_processor(self.config), "training", device)
        result = evaluate_regions(extractor.extract, self.val, Report())
        found = {name: value for name, value in result.items() if value is not None and name != "n"}
        return {"score": found.get("miou", 0.0), **found}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the network in half precision, and its image processor."""
        import copy

        inner: Any = getattr(model, "module", model)
        copy.deepcopy(inner).half().save_pretrained(folder)
        make_processor(self.config).save_pretrained(folder)


def class_weights(split: Split) -> Tensor:
    """Weights float32 [7], by one over the square root of how often a class occurs, between 0.5 and 3."""
    counts = np.zeros(256, np.float64)
    for record in split:
        path = regions_file(split, record)
        if path is not None:
            regions = open_regions(path, record.height, record.width)
            counts += np.bincount(regions.ravel(), minlength=256) / regions.size
    share = np.maximum(counts[:CLASSES] / max(counts[:CLASSES].sum(), 1e-9), 1e-6)
    weights = 1.0 / np.sqrt(share)
    weights /= (weights * share).sum()
    return torch.from_numpy(np.clip(weights, 0.5, 3.0).astype(np.float32))


def map_losses(
    class_logits: Tensor, mask_logits: Tensor, classes: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice of the map that queries add up to.

    Args:
        class_logits: [B, Q, C + 1], the last for "no object".
        mask_logits: [B, Q, h, w].
        classes: uint8 [B, H, W]; unknown pixels do not count.
        weights: [C].
    """
    votes = class_logits.softmax(-1)[..., :-1]  # [B, Q, C]
    scores = torch.einsum("bqc,bqhw->bchw", votes, mask_logits.sigmoid()) + _EPSILON
    probabilities = scores / scores.sum(1, keepdim=True)  # [B, C, h, w]
    target = nn.functional.interpolate(classes[:, None].float(), probabilities.shape[-2:])[:, 0].long()
    known = target != UNKNOWN  # [B, h, w]
    log = probabilities.clamp_min(_EPSILON).log()
    entropy = nn.functional.nll_loss(log, target, weight=weights, ignore_index=UNKNOWN, reduction="sum")
    total = weights[target[known]].sum().clamp_min(1.0)
    hot = nn.functional.one_hot(target.clamp_max(probabilities.shape[1] - 1), probabilities.shape[1])
    hot = hot.permute(0, 3, 1, 2) * known[:, None]  # [B, C, h, w]
    found = probabilities * known[:, None]
    overlap = (found * hot).sum((0, 2, 3))
    size = found.sum((0, 2, 3)) + hot.sum((0, 2, 3))
    present = hot.sum((0, 2, 3)) > 0
    dice = (1 - (2 * overlap + 1) / (size + 1))[present]
    return entropy / total, dice.mean() if present.any() else entropy * 0


def random_crop(
    image: np.ndarray, regions: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random part of a photo, mirrored or not, scaled to a square.

    Args:
        image: uint8 [H, W, 3].
        regions: uint8 [H, W].
        side: of the square, pixels.
        rng: chooses.
    """
    height, width = regions.shape
    share = np.exp(rng.uniform(np.log(0.25), 0.0))  # of the area
    aspect = np.exp(rng.uniform(-0.25, 0.25))
    base = np.sqrt(share * height * width)
    h, w = min(round(base / aspect), height), min(round(base * aspect), width)
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    window = (slice(top, top + h), slice(left, left + w))
    shrink = h > side or w > side
    crop = cv2.resize(
        image[window], (side, side), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    )
    labels = cv2.resize(regions[window], (side, side), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        crop, labels = crop[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(crop), np.ascontiguousarray(labels)


def random_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another brightness, contrast and cast; now and then grey. uint8 [H, W, 3]."""
    gain = np.exp(rng.normal(0, 0.2)) * np.exp(rng.normal(0, 0.07, 3))
    shifted = (image.astype(np.float32) - 128) * np.exp(rng.normal(0, 0.15)) + 128
    changed = np.clip(shifted * gain.astype(np.float32), 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        changed = np.repeat(cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return changed


def normalise(image: np.ndarray) -> np.ndarray:
    """Float32 [3, H, W], as the image processor makes it."""
    return np.ascontiguousarray(((image.astype(np.float32) / 255 - MEAN) / DEVIATION).transpose(2, 0, 1))
