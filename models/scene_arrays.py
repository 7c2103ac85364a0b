"""An encoded photo as plain arrays and back, for a cache on disk.

What the networks computed is kept in half precision: half the size, and of a mask only pixels of its edge
change. What follows from it cheaply is computed again: the towers' first layers when it is read, CPN's
memory when it is first needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from models.one_click.candidates import FreeLocations
from models.one_click.finder import EncodedImage
from models.scene import PhotoScene
from models.view import PhotoView, SelectionModels

FORMAT = 3  # goes up when the names or the meaning of the arrays change
FREE_LOCATIONS = tuple(field.name for field in fields(FreeLocations))


def scene_arrays(scene: PhotoScene) -> dict[str, np.ndarray]:
    """The arrays that hold a scene: whole numbers as they are, all else in float16."""
    arrays = {
        "format": np.array(FORMAT),
        "size": np.array([scene.height, scene.width]),
        "scales": np.array([view.scale for view in scene.views]),
    }
    if scene.photo is not None:
        arrays["photo"] = scene.photo
    for number, view in enumerate(scene.views):
        arrays |= {f"view{number}.{name}": array for name, array in _view_arrays(view).items()}
    return arrays


def scene_from_arrays(models: SelectionModels, arrays: Mapping[str, np.ndarray]) -> PhotoScene:
    """The scene that some arrays hold, for the networks that made it.

    Raises:
        KeyError: An array is missing.
        ValueError: The arrays were written by another version.
    """
    if int(arrays["format"]) != FORMAT:
        raise ValueError(f"scene arrays of format {int(arrays['format'])}, expected {FORMAT}")
    height, width = (int(side) for side in arrays["size"])
    views = []
    for number, scale in enumerate(arrays["scales"].tolist()):
        prefix = f"view{number}."
        own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
        views.append(_view(models, own, scale))
    photo = np.ascontiguousarray(arrays["photo"]) if "photo" in arrays else None
    return PhotoScene(models, views, (height, width), photo)


def _view_arrays(view: PhotoView) -> dict[str, np.ndarray]:
    encoded = view.encoded
    arrays = {
        "image": view.image.cpu().numpy(),  # uint8 [3, H', W']
        "inner": np.array([encoded.height, encoded.width]),
        "mask_features": _compact(encoded.mask_features),
    }
    for level, feature in enumerate(encoded.pyramid):
        arrays[f"pyramid{level}"] = _compact(feature)
    for number, stage in enumerate(encoded.stages):
        arrays[f"stage{number}"] = _compact(stage)
    for level, free in enumerate(encoded.free):
        for name in FREE_LOCATIONS:
            arrays[f"free{level}.{name}"] = _compact(getattr(free, name))
    return arrays


def _view(models: SelectionModels, arrays: Mapping[str, np.ndarray], scale: float) -> PhotoView:
    device = models.finder.model.device
    tensors = {name: _restored(array).to(device) for name, array in arrays.items()}  # type: ignore[arg-type]
    levels = sum(name.startswith("pyramid") for name in arrays)
    height, width = (int(side) for side in arrays["inner"])
    pyramid = [tensors[f"pyramid{level}"] for level in range(levels)]
    encoded = EncodedImage(
        pyramid,
        tensors["mask_features"],
        [
            FreeLocations(**{name: tensors[f"free{level}.{name}"] for name in FREE_LOCATIONS})
            for level in range(levels)
        ],
        height,
        width,
        models.finder.first_layers(pyramid),
        [tensors[f"stage{number}"] for number in range(sum(name.startswith("stage") for name in arrays))],
    )
    return PhotoView(models, tensors["image"], encoded, scale)


def _compact(tensor: Tensor) -> np.ndarray:
    array = tensor.cpu().numpy()
    return array.astype(np.float16) if array.dtype.kind == "f" else array


def _restored(array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.float() if tensor.is_floating_point() else tensor
