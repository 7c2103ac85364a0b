"""The selector: the bundled (or any other) networks behind ``encode``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from safetensors import SafetensorError

from models.cpn import ProposalModel
from models.ids import SelectionConfig
from models.one_click import OneClickModel
from models.one_click.finder import ObjectFinder
from models.pvm import VerificationModel
from models.scene import PhotoScene, SelectionModels
from toolkit.errors import InputError

BUNDLED = Path(__file__).parent / "bundled"
WORKING_SIZE = 1024  # pixels of the longer side that the network sees
LARGEST_ENLARGEMENT = 2.0
PADDING_MULTIPLE = 32


class Selector:
    """SimpSON: one click selects an object, or it and all its siblings.

    Example:
        selector = Selector.load()
        scene = selector.encode(image)
        scene.segment([Click(412, 300)])
        scene.select_similar(Click(412, 300))

    Args:
        models: The networks.
        working_size: Longer side, in pixels, to which photos are scaled before the network sees them.
    """

    name = "simpson"

    def __init__(self, models: SelectionModels, working_size: int = WORKING_SIZE) -> None:
        self.models = models
        self.working_size = working_size

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | None = None,
        *,
        device: str | torch.device | None = None,
        config: SelectionConfig | None = None,
        working_size: int = WORKING_SIZE,
    ) -> Selector:
        """Load networks.

        Args:
            source: A folder (or hub id) with the sub-folders ``one-click`` and, for siblings, ``cpn`` and
                ``pvm``; or a folder (or hub id) that is a 1C-DSN itself. The bundled weights by default.
            device: Where to run; a GPU when there is one, by default.
            config: Parameters of the selection.
            working_size: See the class.

        Raises:
            InputError: There are no such weights.
        """
        target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        root = BUNDLED if source is None else source
        one_click = _load(OneClickModel, root, "one-click", target)
        if one_click is None:
            one_click = _load(OneClickModel, root, None, target)
        if one_click is None:
            raise InputError(
                f"weights '{root}': no 1C-DSN there; expected a folder or hub id with config.json and weights"
            )
        models = SelectionModels(
            ObjectFinder(one_click),
            _load(ProposalModel, root, "cpn", target),
            _load(VerificationModel, root, "pvm", target),
            config or SelectionConfig(),
        )
        return cls(models, working_size)

    @torch.no_grad()
    def encode(self, image: np.ndarray) -> PhotoScene:
        """Encode a photo once.

        Args:
            image: uint8 ``[H, W, 3]`` RGB.

        Raises:
            InputError: The array is no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(
                f"image: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}; use open_image"
            )
        height, width = image.shape[:2]
        scale = min(self.working_size / max(height, width), LARGEST_ENLARGEMENT)
        rows, columns = max(round(height * scale), 1), max(round(width * scale), 1)
        mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(image, (columns, rows), interpolation=mode) if scale != 1 else image
        model = self.models.finder.model
        tensor = torch.from_numpy(
            np.ascontiguousarray(pad(scaled, model.config.image_mean).transpose(2, 0, 1))
        )
        tensor = tensor.to(model.device)
        encoded = self.models.finder.encode(tensor[None], rows, columns)
        return PhotoScene(self.models, tensor, encoded, (height, width), scale)


def pad(image: np.ndarray, colour: list[float]) -> np.ndarray:
    """Pad ``[H, W, 3]`` at the right and bottom to multiples of 32, with the network's mean colour."""
    height, width = image.shape[:2]
    bottom, right = -height % PADDING_MULTIPLE, -width % PADDING_MULTIPLE
    if not bottom and not right:
        return image
    value = [round(c) for c in colour]
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=value)


Network = TypeVar("Network", OneClickModel, ProposalModel, VerificationModel)


def _load(
    kind: type[Network], root: str | os.PathLike[str], part: str | None, device: torch.device
) -> Network | None:
    """A network in evaluation mode, float32; None where there is none."""
    path = Path(root)
    # output_loading_info makes it return a pair, which its type does not say
    load: Callable[..., tuple[Network, dict[str, Any]]] = partial(  # type: ignore[assignment]
        kind.from_pretrained, dtype=torch.float32, output_loading_info=True
    )
    try:
        if path.is_dir():
            folder = path / part if part else path
            if not (folder / "config.json").is_file():
                return None
            _check_kind(kind, folder)
            model, info = load(folder)
        else:
            model, info = load(str(root), subfolder=part or "")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        if not path.is_dir():
            return None
        raise InputError(f"weights '{root}': can't load {part or 'the network'} ({error})") from error
    if missing := info["missing_keys"]:
        raise InputError(
            f"weights '{root}': {part or 'the network'} lacks {len(missing)} parameters, such as "
            f"{min(missing)}; expected what save_pretrained wrote"
        )
    model.to(device)  # type: ignore[arg-type]  # the decorator of transformers hides the signature
    return model.eval()


def _check_kind(kind: type[Network], folder: Path) -> None:
    """Refuse the folder of another network, into which transformers would put random weights.

    Raises:
        ValueError: The folder's config.json names another network.
    """
    found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    expected = kind.config_class.model_type
    if found != expected:
        raise ValueError(f"config.json says model_type {found}, expected {expected}")
