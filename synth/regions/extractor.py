"""Find the regions of photos with Mask2Former: the bundled one, or any in a folder or on the hub."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from synth.regions.labels import REGION_NAMES, UNKNOWN, map_labels
from toolkit.errors import InputError

if TYPE_CHECKING:
    import torch

# Classes are decided on a map of at most this side and enlarged afterwards: the network's own masks are
# coarser, and 150 classes of a 12-megapixel photo would take 7 GB.
_DECISION_SIDE = 640


def bundled_folder() -> Path:
    """Where the bundled extractor lies; the folder may be missing."""
    return Path(str(files("models"))) / "bundled" / "regions"


class RegionExtractor:
    """A Mask2Former for semantic segmentation, its image processor, and the table from its labels to regions.

    Args:
        model: ``transformers.Mask2FormerForUniversalSegmentation``.
        processor: ``transformers.Mask2FormerImageProcessorPil``.
        source: what to call it in reports.
        device: of torch; the GPU when there is one by default.

    Attributes:
        unmapped: labels of the checkpoint that the table does not name; their pixels are left unknown.
    """

    def __init__(self, model: Any, processor: Any, source: str, device: str | None = None) -> None:
        import torch

        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model, self.processor, self.source = model.to(self.device).eval(), processor, source
        self.lookup, self.unmapped = map_labels(model.config.id2label)

    @classmethod
    def load(cls, source: str | Path | None = None, device: str | None = None) -> RegionExtractor:
        """Load a checkpoint.

        Args:
            source: a folder or a hub id; the bundled one by default.
            device: of torch.

        Raises:
            InputError: there is no such checkpoint, or it is no Mask2Former.
        """
        from transformers import Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessorPil
        from transformers.utils import logging

        import synth.regions.backbone  # noqa: F401  # makes the bundled one's backbone known to transformers

        place = bundled_folder() if source is None else source
        if source is None and not (bundled_folder() / "config.json").is_file():
            raise InputError(
                "there is no bundled region extractor in this installation: name a Mask2Former with --model "
                "(a folder or a hub id)"
            )
        verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity_error()  # it warns of every backbone but Swin
        logging.disable_progress_bar()
        try:
            model = Mask2FormerForUniversalSegmentation.from_pretrained(place, dtype="float32")
            processor = Mask2FormerImageProcessorPil.from_pretrained(place)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"{place}: not a Mask2Former folder, nor a hub id that can be reached ({reason})"
            ) from error
        finally:
            logging.set_verbosity(verbosity)
            if bars:
                logging.enable_progress_bar()
        return cls(model, processor, "bundled" if source is None else str(source), device)

    def table(self) -> dict[str, str]:
        """The region that each label of the checkpoint stands for, by name."""
        labels = {int(index): label for index, label in self.model.config.id2label.items()}
        return {label: REGION_NAMES[int(self.lookup[index])] for index, label in sorted(labels.items())}

    def extract(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Find the regions of some photos; those that the processor makes equally large share a pass.

        Args:
            images: uint8 [H, W, 3] each.

        Returns:
            uint8 [H, W] each: an index map with the values of `synth.regions.labels`.
        """
        prepared = [self.processor(images=[image], return_tensors="pt")["pixel_values"] for image in images]
        batches: dict[tuple[int, ...], list[int]] = {}
        for place, pixels in enumerate(prepared):
            batches.setdefault(tuple(pixels.shape), []).append(place)
        maps: list[np.ndarray] = [np.zeros((0, 0), np.uint8)] * len(images)
        for places in batches.values():
            sizes = [images[place].shape[:2] for place in places]
            found = self._forward([prepared[place] for place in places], sizes)
            for place, regions in zip(places, found, strict=True):
                maps[place] = regions
        return maps

    def _forward(self, pixels: list[torch.Tensor], sizes: list[tuple[int, int]]) -> list[np.ndarray]:
        import torch

        with torch.inference_mode():
            output = self.model(pixel_values=torch.cat(pixels).to(self.device))
            decided = self.processor.post_process_semantic_segmentation(
                output, target_sizes=[_decision_size(size) for size in sizes]
            )
        return [
            enlarge(self.lookup[classes.cpu().numpy()], size)
            for classes, size in zip(decided, sizes, strict=True)
        ]


def _decision_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(_DECISION_SIDE / max(size), 1.0)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def enlarge(regions: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarge an index map with smooth borders instead of steps.

    Args:
        regions: uint8 [h, w].
        size: height and width of the result.
    """
    if regions.shape == size:
        return regions
    best = np.full(size, UNKNOWN, np.uint8)
    share = np.zeros(size, np.float32)
    for region in np.unique(regions):
        own = (regions == region).astype(np.float32)
        own = cv2.resize(own, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        better = own > share
        best[better], share[better] = region, own[better]
    return best
