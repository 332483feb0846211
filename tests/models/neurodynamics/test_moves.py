"""Models of circuits take their graphs along to another device, and keep the ids as they are."""

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.models.neurodynamics import (
    SparseSheet,
    energy_sheet,
    generative_predictive_coding,
    layered_predictive_coding,
    predictive_columns,
)
from graphcolumns.nn.protocols import graphs_of

SHEET = grid.sheet(4, 4)
GRAPH = connect.nearest(SHEET, degree=5)
SIZES = {"image_size": 4, "in_channels": 1, "num_classes": 16, "channels": 4, "patterns": 2}
MODELS = {
    "layered": lambda: layered_predictive_coding([16, 5, 3]),
    "generative": lambda: generative_predictive_coding([16, 5, 3], initialiser=True),
    "columns": lambda: predictive_columns(GRAPH, 3, inputs=16),
    "sparse sheet": lambda: SparseSheet(SHEET, GRAPH, 4, threshold=0.5, field=3),
    "energy sheet": lambda: energy_sheet(GRAPH, **SIZES),
}


def graphs_in(value):
    """All graphs that a model keeps, by whatever name."""
    if isinstance(value, ColumnGraph):
        yield value
    elif isinstance(value, torch.nn.Module):
        yield from graphs_in(vars(value))
    elif isinstance(value, dict):
        yield from graphs_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from graphs_in(part)


def built(name):
    """A model that has been used: what it keeps for later is there, too."""
    torch.manual_seed(0)
    model = MODELS[name]()
    images = torch.randn(2, 1, 4, 4)
    model(images)
    return model, images


@pytest.mark.parametrize("name", MODELS)
def test_all_graphs_that_a_model_keeps_move_with_it(name):
    model, _ = built(name)
    count = len(list(graphs_in(model)))
    assert count > 0
    model.to("meta")
    graphs = list(graphs_in(model))
    assert len(graphs) == count
    assert all(graph.device.type == "meta" for graph in graphs)
    assert {graph.device.type for graph in graphs_of(model).values()} == {"meta"}


@pytest.mark.parametrize("name", MODELS)
def test_models_in_double_precision_keep_their_edges(name):
    model, images = built(name)
    before = graphs_of(model)
    model.double()
    for key, graph in graphs_of(model).items():
        assert isinstance(graph, ColumnGraph)
        assert graph.source.dtype == before[key].source.dtype
        assert torch.equal(graph.edge_index, before[key].edge_index)
        assert graph.name == before[key].name
    assert model(images.double()).prediction.dtype == torch.float64
