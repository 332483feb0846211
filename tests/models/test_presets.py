"""The published columnformers: their parameter counts, and what their parts do."""

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns.geometry import Geometry
from graphcolumns.models.columnformer import presets
from graphcolumns.models.columnformer.ingredients import areas_of
from graphcolumns.models.columnformer.presets import PRESETS, shift_register, within_areas

# Parameters with 100 classes and images of 128 pixels. The first is counted in the notebook of
# the original, the others are known to two decimals of a million; here they are exact.
COUNTS = {
    "columnformer_v1": ([8, 12, 16], 46_935_012, 46.935012),
    "columnformer_ff_tiny": ([8], 38_943_460, 38.94),
    "columnformer_r_tiny": ([8] * 6, 39_189_220, 39.19),
    "vision_transformer_tiny": ([8], 11_005_924, 11.01),
    "vision_transformer_r_tiny": ([8] * 6, 11_131_108, 11.13),
    "vision_moemixer_tiny": ([8], 7_633_892, 7.63),
    "vision_tut_tiny": ([8] * 6, 8_328_292, 8.33),
}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Forty million random numbers per model take seconds and are not looked at."""
    for name in ("trunc_normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)


def test_every_preset_is_counted():
    assert set(COUNTS) == set(PRESETS)


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    widths, exact, published = COUNTS[name]
    model = PRESETS[name](grid.stack(widths))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == exact
    assert count / 1e6 == pytest.approx(published, abs=0.005)


def test_first_version_is_as_published():
    model = presets.columnformer_v1(grid.stack([8, 12, 16]))
    column, attention = model.columns[0], model.columns[0].attention
    assert (model.depth, model.recurrent, model.position) == (6, True, None)
    assert not column.skip_attention
    assert attention.value is None
    assert attention.scale == 384**-0.5
    assert [layer.bias is None for layer in (attention.query, attention.key)] == [False, True]
    assert column.out.bias is None
    assert attention.edge_bias.common.min() == -8
    assert attention.edge_bias.common.numel() == 464**2
    assert torch.equal(model.readout.columns, torch.arange(208, 464))
    assert torch.equal(model.seen.flatten(), (torch.arange(464) < 64).float())


def test_feedforward_columns_are_not_at_distance_zero_from_themselves():
    graph = presets.columnformer_ff_tiny(grid.stack([8])).graph
    assert graph.distance.min() == 2


def test_mixer_starts_with_one_map_for_all_heads():
    bias = presets.vision_moemixer_tiny(grid.stack([8])).columns[0].attention.edge_bias
    assert not bias.per_head.any()


def test_shift_register_copies_the_sheet_below():
    """Two sheets of 2 x 2: columns 0-3 read inputs 0-3, columns 4-7 read columns 0-3 (8 + n)."""
    expected = torch.tensor([0, 1, 2, 3, 8, 9, 10, 11])
    assert torch.equal(shift_register(grid.stack([2, 2])), expected)


def test_shift_register_needs_sheets_of_one_size():
    with pytest.raises(ValueError, match=r"must be of one size, got \[4, 9\] columns"):
        shift_register(grid.stack([2, 3]))


def test_within_areas_has_no_edge_between_sheets():
    graph = within_areas(grid.stack([2, 1]))
    assert graph.num_edges == 4 * 4 + 1
    assert graph.edge_index[:, -1].tolist() == [4, 4]


def test_presets_refuse_reordered_columns():
    geometry = Geometry(torch.randn(3, 3), areas=torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="sheet by sheet"):
        areas_of(geometry)


def test_without_areas_there_is_one_sheet():
    assert torch.equal(areas_of(grid.sheet(2, 3)), torch.zeros(6, dtype=torch.int64))
