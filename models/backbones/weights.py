"""Published weights for a backbone: a hub id, or a folder written by ``save_pretrained``."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from models.backbones.base import Backbone
from models.backbones.widening import into_widened
from toolkit.errors import InputError

# Normalisations of the maps put out, which SwinBackbone and ConvNextBackbone add to the published networks.
ADDED = "hidden_states_norms."


def load_backbone_weights(backbone: Backbone, source: str | os.PathLike[str]) -> None:
    """Put pretrained weights into a backbone, in place.

    Args:
        backbone: Built by :func:`models.backbones.build_backbone`; not the compact one. Channels that
            :func:`models.backbones.widening.widen_input` added keep their weights.
        source: A folder, or a hub id such as ``microsoft/resnet-50``; a classifier's head is left out.

    Raises:
        InputError: There are no weights, or they are of another network or size.
    """
    body = getattr(backbone, "body", None)
    if not isinstance(body, nn.Module):
        raise InputError("backbone_weights: the compact backbone has no published weights; leave this out")
    path = Path(source)
    if not path.is_dir() and (path.is_absolute() or str(source).count("/") != 1):
        raise InputError(
            f"backbone_weights '{source}': no such folder, and no hub id either (expected owner/name)"
        )
    loaded, missing = _load(type(body), body.config, source)
    if missing:
        raise InputError(
            f"backbone_weights '{source}': lacks {len(missing)} parameters of the backbone, such as "
            f"{min(missing)}; expected weights of the same network"
        )
    body.load_state_dict(into_widened(loaded.state_dict(), body.state_dict()))


def _load(kind: type, config: object, source: str | os.PathLike[str]) -> tuple[nn.Module, list[str]]:
    from transformers import AutoConfig

    from models.loading import without_progress_bars

    try:
        with without_progress_bars():
            found = AutoConfig.from_pretrained(source).model_type
            expected = config.model_type  # type: ignore[attr-defined]  # of transformers
            if found != expected:
                raise InputError(
                    f"backbone_weights '{source}': a {found} network; the backbone is {expected}"
                )
            model, info = kind.from_pretrained(source, config=config, output_loading_info=True)  # type: ignore[attr-defined]
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"backbone_weights '{source}': can't be loaded ({_first_line(error)})") from error
    return model, [key for key in info["missing_keys"] if not key.startswith(ADDED)]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
