"""The plain vision transformer under iCMFormer: a stem, positions, self-attention blocks."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from models.backbones import CompactBackbone
from models.systems.clicking.pretrained import load_pretrained
from models.systems.icmformer.blocks import vit_blocks
from models.systems.icmformer.config import IcmformerConfig
from toolkit.errors import InputError

VIT_TYPES = ("vit", "vit_mae")


class CompactStem(nn.Module):
    """Tokens from the compact backbone: its maps at strides 8, 16 and 32, brought to one width and added.

    Source of transformers on convolutional features: ViT (Dosovitskiy et al., 2020), "hybrid architecture".
    """

    def __init__(self, config: IcmformerConfig) -> None:
        super().__init__()
        self.body = CompactBackbone(**config.stem_settings)
        self.lateral = nn.ModuleList(nn.Conv2d(inputs, config.width, 1) for inputs in self.body.channels[1:])
        self.patch = config.patch

    def forward(self, pixels: Tensor) -> Tensor:
        """Map normalised pixels ``[B, 3, H, W]`` to tokens ``[B, C, H / patch, W / patch]``."""
        size = (pixels.shape[-2] // self.patch, pixels.shape[-1] // self.patch)
        maps = zip(self.lateral, self.body(pixels)[1:], strict=True)
        sized = [
            F.interpolate(lateral(x), size=size, mode="bilinear", align_corners=False) for lateral, x in maps
        ]
        return torch.stack(sized).sum(0)


class TokenBackbone(nn.Module):
    """Stem, positions and self-attention blocks.

    Args:
        config: Widths and sizes.
        blocks: How many, of all groups together.
    """

    def __init__(self, config: IcmformerConfig, blocks: int) -> None:
        super().__init__()
        self.stem: nn.Module = (
            CompactStem(config)
            if config.stem == "compact"
            else nn.Conv2d(3, config.width, config.patch, stride=config.patch)
        )
        self.positions = nn.Parameter(torch.zeros(1, config.width, config.positions, config.positions))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.blocks = vit_blocks(blocks, config.width, config.heads, config.mlp_ratio)

    def located(self, tokens: Tensor) -> Tensor:
        """Tokens ``[B, C, h, w]`` with their positions, as a sequence ``[B, h · w, C]``."""
        positions: Tensor = self.positions
        if positions.shape[-2:] != tokens.shape[-2:]:
            positions = F.interpolate(positions, size=tokens.shape[-2:], mode="bicubic", align_corners=False)
        return (tokens + positions).flatten(2).transpose(1, 2)

    def load(self, source: str | os.PathLike[str]) -> None:
        """Put pretrained weights in: a 1C-DSN's backbone into the stem, or a ViT into everything.

        Args:
            source: As :func:`models.systems.clicking.pretrained.load_pretrained` takes it; or, with the stem
                ``patch``, a folder or hub id of a ViT or MAE of the same width.

        Raises:
            InputError: There are no weights, or they are of another network or size.
        """
        if isinstance(self.stem, CompactStem):
            load_pretrained(self.stem.body, str(source))
            return
        weights = vit_weights(source, self.state_dict(), len(self.blocks))
        self.load_state_dict(weights)


def vit_weights(source: str | os.PathLike[str], own: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """Weights of a published ViT under the names of a :class:`TokenBackbone`.

    Args:
        source: A folder or hub id of transformers' ViT or ViTMAE.
        own: The backbone's, for names and shapes; positions are resized to them.
        blocks: The first so many blocks are taken.

    Raises:
        InputError: There are no such weights, or they are of another size.
    """
    model = _vit(source)
    state = {name.removeprefix("encoder."): value for name, value in model.state_dict().items()}
    try:
        positions = state["embeddings.position_embeddings"][:, 1:]  # [1, N, C] without the class token's
        side = round(positions.shape[1] ** 0.5)
        grid = positions.transpose(1, 2).unflatten(2, (side, side))
        found = {
            "stem.weight": state["embeddings.patch_embeddings.projection.weight"],
            "stem.bias": state["embeddings.patch_embeddings.projection.bias"],
            "positions": F.interpolate(
                grid, size=own["positions"].shape[-2:], mode="bicubic", align_corners=False
            ),
        }
        for name in own:
            if name.startswith("blocks."):
                found[name] = state[f"layers.{name.removeprefix('blocks.')}"]
    except KeyError as error:
        raise InputError(
            f"backbone_weights '{source}': lacks {error}; expected a ViT of at least {blocks} blocks"
        ) from error
    wrong = [name for name, value in found.items() if value.shape != own[name].shape]
    if wrong:
        raise InputError(
            f"backbone_weights '{source}': {wrong[0]} is {list(found[wrong[0]].shape)}, expected "
            f"{list(own[wrong[0]].shape)}; take a ViT of the recipe's width and patch"
        )
    return found


def _vit(source: str | os.PathLike[str]) -> nn.Module:
    from transformers import AutoConfig, AutoModel

    from models.loading import without_progress_bars

    path = Path(source)
    if not path.is_dir() and (path.is_absolute() or str(source).count("/") != 1):
        raise InputError(
            f"backbone_weights '{source}': no such folder, and no hub id either (expected owner/name)"
        )
    try:
        with without_progress_bars():
            kind = AutoConfig.from_pretrained(source).model_type
            if kind not in VIT_TYPES:
                raise InputError(f"backbone_weights '{source}': a {kind} network; the backbone is a ViT")
            return AutoModel.from_pretrained(source, dtype=torch.float32)
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"backbone_weights '{source}': can't be loaded ({reason})") from error
