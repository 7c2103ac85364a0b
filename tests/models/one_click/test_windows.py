"""A click recomputes windows only; they must equal the full pass."""

from __future__ import annotations

import copy
from dataclasses import fields

import pytest
import torch

from models.folding import fold_batch_norm
from models.one_click import OneClickConfig, OneClickModel
from models.one_click.criterion import cut_patches
from models.one_click.model import click_maps_of
from models.one_click.windows import ClickedImage, WindowOutput, run_windows

SIZE = 192


@pytest.fixture(scope="module")
def model() -> OneClickModel:
    """A small network whose normalisations are not the identity."""
    torch.manual_seed(0)
    settings = {"stem": 8, "widths": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}
    network = OneClickModel(OneClickConfig(backbone_settings=settings, pyramid_channels=16, head_channels=16))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.3)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.normal_(module.bias, std=0.3)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    for conv in (network.heads.class_logits, network.heads.box_distances, network.heads.kernels):
        torch.nn.init.normal_(conv.weight, std=0.1)
    return network.eval()


# in the middle, near two borders, in the corner, and two clicks of one object
@pytest.mark.parametrize(
    "clicks", [[(100.0, 90.0)], [(3.0, 60.5)], [(191.0, 191.0)], [(60.0, 60.0), (75.0, 66.0)]], ids=str
)
@pytest.mark.parametrize("kept", [(), (1, 2, 3), (0, 1, 2, 3)], ids=str)  # levels
@pytest.mark.parametrize("folded", [False, True])
def test_windows_equal_the_full_pass(
    model: OneClickModel, clicks: list[tuple[float, float]], kept: tuple[int, ...], folded: bool
) -> None:
    if folded:
        model = copy.deepcopy(model)
        fold_batch_norm(model)
    image = torch.randint(0, 256, (1, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1)).float()
    with torch.no_grad():
        full = model(image, click_maps_of([clicks], SIZE, SIZE))
        free = model(image)
        changed_somewhere = 0
        pyramid = [feature[0] for feature in full.pyramid]
        first = [
            model.heads.first_layers(feature[None])[0] if level in kept else None
            for level, feature in enumerate(pyramid)
        ]
        asked = ClickedImage(pyramid, [clicks], first)
        output = run_windows(model.heads, [asked])[0]
        for level in range(len(pyramid)):
            window = WindowOutput(*(getattr(output, field.name)[level] for field in fields(WindowOutput)))
            dense = full.levels[level]
            covered = torch.zeros(dense.logits.shape[-2:], dtype=torch.bool)
            for slot in range(len(clicks)):
                row, column = window.inside[slot].nonzero(as_tuple=True)
                to_row, to_column = window.rows[slot, row], window.columns[slot, column]
                covered[to_row, to_column] = True
                torch.testing.assert_close(
                    window.logits[slot, row, column],
                    dense.logits[0, 0, to_row, to_column],
                    atol=1e-5,
                    rtol=1e-5,
                )
                torch.testing.assert_close(
                    window.centerness[slot, row, column],
                    dense.centerness[0, 0, to_row, to_column],
                    atol=1e-5,
                    rtol=1e-5,
                )
                torch.testing.assert_close(
                    window.distances[slot, :, row, column],
                    dense.distances[0, :, to_row, to_column],
                    atol=1e-5,
                    rtol=1e-5,
                )
                reach = model.heads.kernel_reach
                image_index = torch.zeros_like(to_row)
                patches, inside = cut_patches(dense.features, image_index, to_row, to_column, reach)
                expected = model.heads.kernels_from_patches(patches, inside)
                size = 2 * reach + 1
                own = torch.stack(
                    [
                        window.features[slot, :, r : r + size, c : c + size]
                        for r, c in zip(row.tolist(), column.tolist(), strict=True)
                    ]
                )
                own_inside = torch.stack(
                    [
                        window.features_inside[slot, :, r : r + size, c : c + size]
                        for r, c in zip(row.tolist(), column.tolist(), strict=True)
                    ]
                )
                torch.testing.assert_close(
                    model.heads.kernels_from_patches(own, own_inside), expected, atol=1e-5, rtol=1e-5
                )
            # nothing outside the windows may depend on the click
            untouched = ~covered
            torch.testing.assert_close(
                dense.logits[0, 0][untouched],
                free.levels[level].logits[0, 0][untouched],
                atol=1e-5,
                rtol=1e-5,
            )
            changed_somewhere += int((dense.logits != free.levels[level].logits).sum())
        assert changed_somewhere > 0


def test_images_and_groups_of_one_batch_do_not_mix(model: OneClickModel) -> None:
    generator = torch.Generator().manual_seed(3)
    images = []
    with torch.no_grad():
        # a lone click beside groups of two and three, in images of other sizes, and one without any click
        for side, groups in (
            (192, [[(60.0, 60.0), (75.0, 66.0)], [(150.0, 20.0)]]),
            (64, [[(3.0, 3.0)]]),
            (96, []),
            (128, [[(9.0, 100.0), (20.0, 100.0), (90.0, 5.0)]]),
        ):
            picture = torch.randint(0, 256, (1, 3, side, side), generator=generator).float()
            images.append(ClickedImage([level[0] for level in model.encode(picture)], groups))
        together = run_windows(model.heads, images)
        for image, windows in zip(images, together, strict=True):
            first = 0
            for group in image.groups:
                own = slice(first, first + len(group))
                first += len(group)
                alone = run_windows(model.heads, [ClickedImage(image.pyramid, [group])])[0]
                assert torch.equal(windows.rows[:, own], alone.rows)
                for name in ("logits", "centerness", "distances", "features"):
                    torch.testing.assert_close(
                        getattr(windows, name)[:, own], getattr(alone, name), atol=1e-5, rtol=1e-5
                    )
            assert windows.rows.shape[:2] == (4, first)


def test_sparse_kernels_equal_dense_ones(model: OneClickModel) -> None:
    image = torch.randint(0, 256, (1, 3, 64, 96), generator=torch.Generator().manual_seed(2)).float()
    with torch.no_grad():
        features = model(image).levels[0].features  # [1, C, 16, 24]
        rows, columns = torch.meshgrid(torch.arange(16), torch.arange(24), indexing="ij")
        cells = torch.zeros(16 * 24, dtype=torch.long)
        patches, inside = cut_patches(
            features, cells, rows.flatten(), columns.flatten(), model.heads.kernel_reach
        )
        sparse = model.heads.kernels_from_patches(patches, inside)
        dense = model.heads.dense_kernels(features)[0].flatten(1).T
    torch.testing.assert_close(sparse, dense, atol=1e-5, rtol=1e-5)
