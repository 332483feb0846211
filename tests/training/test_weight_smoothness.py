"""Likeness of the weights of columns that an edge joins, as a loss term."""

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.analysis.topography import kernel_spatial_loss, rook_neighbours
from graphcolumns.models import sheet
from graphcolumns.training import TERMS, losses
from graphcolumns.training.column_kernels import column_kernels
from tests.models.support.variants import make_staged
from tests.training.support.tiny import tiny

TERM = TERMS["weight_smoothness"]


class Untied(nn.Module):
    column_tensors = ("weight", "bias", "fixed", "absent")

    def __init__(self, columns: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(columns, 2, 3))
        self.bias = nn.Parameter(torch.randn(columns))
        self.fixed = nn.Parameter(torch.ones(columns), requires_grad=False)
        self.absent = None


class Model(nn.Module):
    def __init__(self, columns: int, graph: ColumnGraph):
        super().__init__()
        self.graph, self.one, self.two = graph, Untied(columns), Untied(columns)


def test_by_hand():
    """Directions 0, 60 and 90 degrees along a line."""
    kernels = torch.tensor([[2.0, 0], [0.5, 3**0.5 / 2], [0, 1]])
    found = losses.weight_difference(kernels, rook_neighbours(1, 3))
    assert float(found) == pytest.approx(1 - (0.5 + 3**0.5 / 2) / 2)


def test_modules_are_averaged_and_are_what_analysis_measures():
    torch.manual_seed(0)
    # 5 x 7 columns cannot be divided into blocks.
    model = Model(35, rook_neighbours(5, 7))
    parts = (model.one, model.two)
    measured = [kernel_spatial_loss(p.weight, model.graph, p.bias) for p in parts]
    assert TERM(model, None, torch.zeros(1)).item() == pytest.approx(sum(measured) / 2, abs=1e-6)


def test_descent_makes_neighbours_alike():
    torch.manual_seed(0)
    model = Model(35, rook_neighbours(5, 7))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    first = TERM(model, None, torch.zeros(1)).item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = TERM(model, None, torch.zeros(1))
        loss.backward()
        optimizer.step()
    assert first > 0.9
    assert loss.item() < 0.2


def test_a_kernel_of_zeros_gets_no_gradient():
    kernels = torch.tensor([[0.0, 0], [1, 2], [2, 1]], requires_grad=True)
    losses.weight_difference(kernels, rook_neighbours(1, 3)).backward()
    assert kernels.grad[0].tolist() == [0, 0]
    assert 0 < kernels.grad.abs().max() < 1


def test_kernels_of_a_sheet():
    places = grid.sheet(3, 5)
    model = sheet(places, connect.nearest(places, 5), image_size=3, in_channels=1, num_classes=3)
    found = list(column_kernels(model))
    assert found
    assert all(kernels.shape[0] == 15 for kernels, _ in found)
    loss = TERM(model, None, torch.zeros(1))
    loss.backward()
    assert 0 < loss.item() < 2
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(g.isfinite().all()) for g in gradients)


def test_kernels_of_stages_are_along_their_own_edges():
    model = make_staged(weights={"attention": "untied"})
    sizes = {(len(kernels), graph.num_columns) for kernels, graph in column_kernels(model)}
    assert sizes == {(64, 64), (16, 16), (4, 4)}


def test_models_without_weights_per_column():
    model = tiny()
    model.mixture.requires_grad_(False)
    with pytest.raises(ValueError, match="'weight_smoothness' cannot be computed: Tiny has no tra"):
        TERM(model, None, torch.zeros(1))


def test_weights_of_other_columns_are_left_out():
    assert not list(column_kernels(Model(4, rook_neighbours(2, 3))))
    assert not list(column_kernels(Untied(4)))
    model = Model(6, rook_neighbours(2, 3))
    model.one.own_columns = True
    assert len(list(column_kernels(model))) == 1
