"""Systems by name, sets of weights, the bundled ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.loading import BUNDLED, load_system
from models.selector import Selector
from tests.helpers.networks import save_selector
from toolkit.clicks import Click
from toolkit.errors import InputError
from toolkit.systems import System

bundled = pytest.mark.skipif(not (BUNDLED / "one-click").is_dir(), reason="no weights are bundled")


def test_a_system_by_its_folder(tmp_path: Path) -> None:
    system: System = load_system(str(save_selector(tmp_path)))
    assert isinstance(system, Selector)
    assert system.name == "simpson"
    with pytest.raises(InputError, match="weights 'nobody'"):
        load_system("nobody")


@bundled
def test_the_bundled_weights_work_together() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.rglob("*.safetensors")) <= 40e6
    selector = Selector.load(device="cpu", working_sizes=(256,))
    parts = selector.models
    assert parts.proposals is not None
    assert parts.verification is not None
    channels = parts.finder.model.config.pyramid_channels
    assert parts.proposals.config.feature_channels == parts.verification.config.feature_channels == channels
    followers = (parts.chooser, parts.judge)
    for network in (parts.finder.model, parts.proposals, parts.verification, *followers):
        assert network is not None
        assert all(p.isfinite().all() for p in network.state_dict().values())
    # a plain disc on grey is found with one click
    rows, columns = np.indices((128, 160)) + 0.5
    disc = np.hypot(columns - 80, rows - 64) <= 24
    image = np.where(disc[..., None], [200, 40, 40], [128, 128, 128]).astype(np.uint8)
    found = selector.encode(image).segment([Click(80, 64)])
    assert found is not None
    assert (found.mask & disc).sum() / (found.mask | disc).sum() > 0.7


@bundled
@pytest.mark.parametrize("name", ["one-click", "cpn", "pvm", "chooser", "judge"])
def test_bundled_networks_state_their_kind(name: str) -> None:
    config = json.loads((BUNDLED / name / "config.json").read_text())
    assert config["model_type"] == f"declutter-{name}"
    assert config["dtype"] == "float16"
