"""Sheets on a torus: whole shifts are exact with shared columns, shifts between pixels are not."""

import pytest
import torch

from geometries import grid
from graphcolumns.analysis.invariance import lie_derivative, permutation_error, shift_consistency
from graphcolumns.connect import nearest
from graphcolumns.models import sheet

PLACES = grid.sheet(8, 8, torus=True)
GRAPH = nearest(PLACES, 9)


def torus_sheet(weights, position_embedding=False):
    torch.manual_seed(0)
    return sheet(
        PLACES,
        GRAPH,
        image_size=8,
        in_channels=1,
        num_classes=10,
        channels=16,
        depth=3,
        weights={"attention": weights},
        interface={"position_embedding": position_embedding},
    ).double()


def images(count=40):
    draws = torch.Generator().manual_seed(0)
    return torch.randn(count, 1, 8, 8, generator=draws, dtype=torch.float64)


def test_shared_columns_on_a_torus_are_invariant_to_whole_shifts():
    model = torus_sheet("shared")
    assert shift_consistency(model, images(), 3, border="circular").consistency == 1.0
    assert shift_consistency(model, images(), 3, border="padded").consistency < 1.0


def test_own_weights_and_codes_of_position_break_it():
    assert shift_consistency(torus_sheet("untied"), images(), 3, border="circular")[0] < 0.9
    coded = torus_sheet("shared", position_embedding=True)
    with torch.no_grad():
        coded.position.mul_(50)
    assert shift_consistency(coded, images(), 3, border="circular")[0] < 0.95


@pytest.mark.parametrize("weights", ["shared", "untied"])
def test_a_shift_is_a_permutation_of_the_torus(weights):
    """The permuted graph of a torus that is shifted is the graph itself."""
    order = torch.arange(64).view(8, 8).roll((2, 3), (0, 1)).flatten()
    assert GRAPH.permute(order).same_topology(GRAPH)
    column = torus_sheet(weights).columns[0]
    x = torch.randn(64, 3, 16, dtype=torch.float64)
    error = permutation_error(column, x, GRAPH, permutation=order)
    assert error < 1e-13 if weights == "shared" else error > 0.1


def test_between_pixels_even_shared_columns_are_not_equivariant():
    model = torus_sheet("shared")

    def state(images):
        return model(images).state.permute(1, 2, 0).unflatten(2, (8, 8))

    exact = lie_derivative(state, images(2))
    assert exact.square().mean().sqrt() > 0.1
    central = lie_derivative(state, images(2), step=1e-5)
    assert (central - exact).abs().max() < 1e-4 * exact.abs().max()
