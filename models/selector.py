"""The selector: the bundled (or any other) networks behind ``encode``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from models.chooser import ChooserModel
from models.cpn import ProposalModel
from models.encoding import encode_view
from models.folding import load_folded
from models.ids import SelectionConfig
from models.judge import JudgeModel
from models.loading import BUNDLED, fingerprint, load_network
from models.one_click import OneClickModel
from models.one_click.finder import ObjectFinder
from models.pvm import VerificationModel
from models.refiner import RefinerModel
from models.scene import PhotoScene
from models.stages import misfit
from models.variants import switches_of, with_network, with_settings, without_clicks
from models.view import SelectionModels
from toolkit.errors import InputError

# Longer sides, in pixels, of the copies of a photo that the network sees: the first shows large things whole,
# the last shows small ones large enough.
WORKING_SIZES = (256, 640, 1024)
LARGEST_ENLARGEMENT = 2.0


class Selector:
    """SimpSON: one click selects an object, or it and all its siblings.

    Example:
        selector = Selector.load()
        scene = selector.encode(image)
        scene.segment([Click(412, 300)])
        scene.select_similar(Click(412, 300))

    Args:
        models: The networks.
        working_sizes: Longer sides, in pixels, of the copies that the network sees.
    """

    name = "simpson"

    def __init__(self, models: SelectionModels, working_sizes: Sequence[int] = WORKING_SIZES) -> None:
        self.models = models
        self.working_sizes = tuple(sorted(working_sizes))

    @classmethod
    def load(
        cls,
        source: str | os.PathLike[str] | None = None,
        *,
        device: str | torch.device | None = None,
        config: SelectionConfig | None = None,
        working_sizes: Sequence[int] = WORKING_SIZES,
    ) -> Selector:
        """Load networks.

        Args:
            source: A folder (or hub id) with the sub-folders ``one-click`` and, for siblings, ``cpn``,
                ``pvm`` and ``judge``, for better masks ``chooser`` and ``refiner``; or a folder (or hub id)
                that is a 1C-DSN itself. The bundled weights by default.
            device: Where to run; a GPU when there is one, by default.
            config: Parameters of the selection.
            working_sizes: See the class.

        Raises:
            InputError: There are no such weights.
        """
        target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        root = BUNDLED if source is None else source
        one_click = load_folded(OneClickModel, root, "one-click", target)
        if one_click is None:
            one_click = load_folded(OneClickModel, root, None, target)
        if one_click is None:
            raise InputError(
                f"weights '{root}': no 1C-DSN there; expected a folder or hub id with config.json and weights"
            )
        one_click.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # a sixth faster
        refiner = load_folded(RefinerModel, root, "refiner", target)
        if refiner is not None:
            refiner.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # a third faster
        proposals = load_folded(ProposalModel, root, "cpn", target)
        verification = load_folded(VerificationModel, root, "pvm", target)
        for part, reader in (("cpn", proposals), ("pvm", verification)):
            if reader is not None and (expected := misfit(reader, one_click)):
                raise InputError(f"weights '{root}': {part}: expected a network for {expected}")
        models = SelectionModels(
            ObjectFinder(one_click),
            proposals,
            verification,
            config or SelectionConfig(),
            refiner,
            load_network(ChooserModel, root, "chooser", target),
            load_network(JudgeModel, root, "judge", target),
        )
        return cls(models, working_sizes)

    @property
    def switches(self) -> dict[str, bool | str]:
        """How the networks are set; see :class:`toolkit.systems.VariableSystem`, also for what follows."""
        return switches_of(self.models)

    def with_selection(self, **settings: Any) -> Selector:
        """The same selector with other parameters; see :func:`models.variants.with_settings`."""
        config = with_settings(self.models.config, settings)
        return Selector(replace(self.models, config=config), self.working_sizes)

    def with_network(self, source: str) -> Selector:
        """The same selector with the 1C-DSN, CPN or PVM of a folder."""
        return Selector(with_network(self.models, source), self.working_sizes)

    def without_clicks(self) -> Selector:
        """The same selector, whose 1C-DSN does not see the clicks: they only filter what it finds."""
        return Selector(without_clicks(self.models), self.working_sizes)

    @torch.no_grad()
    def encode(self, image: np.ndarray) -> PhotoScene:
        """Encode a photo once.

        Args:
            image: uint8 ``[H, W, 3]`` RGB.

        Raises:
            InputError: The array is no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            raise InputError(
                f"image: expected uint8 [H, W, 3], got {image.dtype} {list(image.shape)}; use open_image"
            )
        height, width = image.shape[:2]
        longer = max(height, width)
        scales = sorted({min(size / longer, LARGEST_ENLARGEMENT) for size in self.working_sizes})
        views = [encode_view(self.models, image, scale) for scale in scales]
        return PhotoScene(self.models, views, (height, width), image.copy())

    def scene_arrays(self, scene: PhotoScene) -> dict[str, np.ndarray]:
        """An encoded photo as arrays, to keep on disk; see :mod:`models.scene_arrays`."""
        from models.scene_arrays import scene_arrays

        return scene_arrays(scene)

    def scene_from_arrays(self, arrays: Mapping[str, np.ndarray]) -> PhotoScene:
        """The encoded photo that arrays of this selector's networks hold."""
        from models.scene_arrays import scene_from_arrays

        return scene_from_arrays(self.models, arrays)

    @property
    def parameters(self) -> int:
        """Of the 1C-DSN, the chooser and the refiner: clicks on one object run nothing else."""
        networks = [self.models.finder.model, self.models.chooser, self.models.refiner]
        return sum(p.numel() for network in networks if network is not None for p in network.parameters())

    @cached_property
    def fingerprint(self) -> str:
        """A text that changes whenever the weights or the settings do."""
        parts = self.models
        networks = [parts.finder.model, parts.proposals, parts.verification, parts.refiner]
        present = [network for network in (*networks, parts.chooser, parts.judge) if network is not None]
        return fingerprint(present, self.models.config, self.working_sizes)
