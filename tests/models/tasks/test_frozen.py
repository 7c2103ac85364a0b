"""The frozen 1C-DSN under CPN and PVM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.data.group_samples import GroupObject
from models.one_click.finder import EncodedImage
from models.one_click.found_object import FoundObject
from models.tasks.frozen import encode, load_frozen, mask_and_box, predicted
from toolkit.errors import InputError

ENCODED = EncodedImage([], torch.zeros(8, 6, 7), [], 24, 28)


def test_it_is_frozen(frozen: Path) -> None:
    network = load_frozen(frozen)
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"one_click: no 1C-DSN in .*; train one first, then --set one_click="
    ):
        load_frozen(tmp_path)


@pytest.mark.parametrize("channels_last", [False, True])
def test_it_encodes_and_predicts_as_the_finder_does(frozen: Path, channels_last: bool) -> None:
    network = load_frozen(frozen)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8)
    first, second = encode(network, image, channels_last)
    with torch.no_grad():
        pyramid = network.encode(image[1:])
    torch.testing.assert_close(second.pyramid[1], pyramid[1][0], atol=1e-5, rtol=1e-5)
    found = predicted(network, first, [(30.0, 30.0), (10.0, 50.0)])
    assert len(found) == 2
    for item, (x, y) in zip(found, [(30.0, 30.0), (10.0, 50.0)], strict=True):
        assert item is None or item.value_at(x, y) > 0
    assert predicted(network, first, []) == []


def test_predicted_masks_come_first() -> None:
    logits = np.full((3, 4), -1000.0, np.float32)
    logits[1, 1:3] = 1000
    known = np.zeros((6, 7))
    known[3, 1:5] = 1  # half of it is found
    found = FoundObject(logits, 2, 1, 0.5, ((9.0, 13.0),))
    pair = mask_and_box(found, truth(known), ENCODED)
    assert pair is not None
    mask, box = pair
    assert mask.shape == (6, 7)
    assert (mask > 0.5).nonzero().tolist() == [[3, 2], [3, 3]]
    assert box.tolist() == [8, 12, 16, 16]
    known[4:6, 1:5] = 1  # now a sixth
    pair = mask_and_box(found, truth(known), ENCODED)
    assert pair is not None
    assert pair[1].tolist() == [4, 12, 20, 24]  # the true box


def truth(coverage: np.ndarray) -> GroupObject:
    return GroupObject(0, (0.0, 0.0), (0.0, 0.0), 4.0, (coverage * 255).astype(np.uint8))


def test_true_masks_where_nothing_was_found() -> None:
    coverage = np.zeros((6, 7))
    coverage[2, 3], coverage[4, 5] = 1, 0.2
    pair = mask_and_box(None, truth(coverage), ENCODED)
    assert pair is not None
    assert pair[0][2, 3] == 1
    assert pair[0][4, 5].item() == pytest.approx(0.2)
    assert pair[1].tolist() == [12, 8, 24, 20]
    assert mask_and_box(None, truth(np.zeros((6, 7))), ENCODED) is None
    assert mask_and_box(None, None, ENCODED) is None
