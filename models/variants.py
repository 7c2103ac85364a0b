"""Selectors that differ in one thing, as the published ablations compare them."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from models.chooser import ChooserModel
from models.cpn import ProposalModel
from models.folding import load_folded
from models.ids import SelectionConfig
from models.judge import JudgeModel
from models.one_click import OneClickModel
from models.one_click.finder import ObjectFinder
from models.pvm import VerificationModel
from models.refiner import RefinerModel
from models.stages import misfit
from models.view import SelectionModels
from toolkit.errors import InputError

# Clicks that are masked where there are no rounds to spread them over: all, as far as COCO's AP counts masks.
CLICKS_OF_ONE_ROUND = 100


def switches_of(models: SelectionModels) -> dict[str, bool | str]:
    """How the networks are set, by the columns of SimpSON's Tables 1 to 5; no entry without the network."""
    one_click, cpn, pvm = models.finder.model.config, models.proposals, models.verification
    switches: dict[str, bool | str] = {
        "Backbone": str(one_click.backbone),
        "Click embedding": bool(one_click.click_embedding),
        "IDS": models.config.rounds > 1,
        "PVM": models.config.verify and pvm is not None,
    }
    if cpn is not None:
        size = cpn.config.query_size
        switches["L1 → L2 → L3"] = " → ".join(f"1/{stride}" for stride in cpn.config.level_order)
        switches["Mask (CPN)"] = bool(cpn.config.mask_queries)
        switches["Query size"] = f"{size} × {size}"
    if pvm is not None:
        switches["Scale"] = bool(pvm.config.use_scale)
        switches["Square"] = bool(pvm.config.use_square)
        switches["Mask (PVM)"] = bool(pvm.config.use_mask)
    return switches


def with_settings(config: SelectionConfig, settings: dict[str, Any]) -> SelectionConfig:
    """Change parameters of the selection.

    Args:
        config: What to start from.
        settings: Fields of `SelectionConfig`; or ``iterate`` (False turns IDS off: one round, in which
            everything proposed is masked).

    Raises:
        InputError: There is no such parameter, or its value is of another type.
    """
    changes = dict(settings)
    iterate = changes.pop("iterate", True)
    known = asdict(config)
    for name, value in changes.items():
        if name not in known:
            names = ", ".join(field.name for field in fields(config))
            raise InputError(f"selection: there is no parameter '{name}'; there are iterate, {names}")
        if isinstance(value, bool) != isinstance(known[name], bool) or not isinstance(value, (int, float)):
            raise InputError(f"selection: {name} is {value!r}, expected a value like {known[name]!r}")
    if not iterate:
        changes = {"rounds": 1, "clicks_per_round": CLICKS_OF_ONE_ROUND, **changes}
    return replace(config, **changes)


def with_network(models: SelectionModels, source: str) -> SelectionModels:
    """Replace a network by the one of its kind in a folder, such as ``runs/NAME/final``.

    Raises:
        InputError: The folder holds none of them, or one for other features.
    """
    networks = (OneClickModel, ProposalModel, VerificationModel, RefinerModel, ChooserModel, JudgeModel)
    kinds = {kind.config_class.model_type: kind for kind in networks}
    try:
        found = json.loads((Path(source) / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{source}': no network there; expected a folder with config.json") from error
    if found not in kinds:
        raise InputError(f"'{source}': config.json says model_type {found}, expected {', '.join(kinds)}")
    network = load_folded(kinds[found], source, None, models.finder.model.device)
    if isinstance(network, OneClickModel):
        return replace(models, finder=ObjectFinder(network))
    if isinstance(network, RefinerModel):
        return replace(models, refiner=network)
    if isinstance(network, ChooserModel):
        return replace(models, chooser=network)
    if isinstance(network, JudgeModel):
        return replace(models, judge=network)
    if network is None:
        raise InputError(f"'{source}': no network there; expected what save_pretrained wrote")
    if expected := misfit(network, models.finder.model):
        raise InputError(f"'{source}': expected a network for {expected}")
    if isinstance(network, ProposalModel):
        return replace(models, proposals=network)
    if not isinstance(network, VerificationModel):
        raise TypeError(f"expected a VerificationModel, got {type(network).__name__}")
    return replace(models, verification=network)


def without_clicks(models: SelectionModels) -> SelectionModels:
    """Let the 1C-DSN see no clicks: they only choose among the boxes that it finds by itself.

    Its click convolutions have no bias, so with weights of zero every pass is the click-free one.
    """
    network = copy.deepcopy(models.finder.model)
    if network.config.click_embedding:
        with torch.no_grad():
            for conv in network.heads.click_convs:
                conv.weight.zero_()
    return replace(models, finder=ObjectFinder(network, everywhere=True))
