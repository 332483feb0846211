"""Columns silenced and edges cut, and what becomes of scores."""

import copy

import pytest
import torch
from torch import nn

from geometries import grid
from graphcolumns.analysis.function import Lesion, lesion_effects, lesioned, model_states
from graphcolumns.data import Dataset
from graphcolumns.nn.protocols import ModelOutput
from tests.analysis.function.support.chains import Chain, chain_graph
from tests.analysis.support.sheets import build, images


def test_what_a_silenced_column_receives_ends_there():
    """In the chain 0, 1, 2, 3, 4 without column 2 nothing arrives at 2, 3 and 4."""
    model = Chain(chain_graph(), depth=4)
    with lesioned(model, torch.tensor([2])) as cut:
        found = model_states(cut, torch.ones(1, 1)).values[:, :, 0, 0]
    assert found[-1].tolist() == [1, 4, 0, 0, 0]
    assert model_states(model, torch.ones(1, 1)).values[-1, :, 0, 0].tolist() == [1, 4, 6, 4, 1]


def test_a_silenced_column_is_named_by_the_user():
    with lesioned(
        Chain(chain_graph()), torch.tensor([4]), permutation=torch.arange(5).flip(0)
    ) as c:
        assert model_states(c, torch.ones(1, 1)).values.abs().sum() == 0


def test_cut_edges_take_their_parameters_along():
    """Edges 0-1, 1-2, 0-3, 2-3, 3-4; the first and the third are cut, weights 2, 4, 5 stay."""
    graph = chain_graph(5, ((0, 3),))
    model = Chain(graph)
    model.layer.weight.data = torch.tensor([1.0, 2, 3, 4, 5])
    edges = torch.tensor([True, False, True, False, False])
    with lesioned(model, edges=edges) as cut:
        assert cut.graph.edge_index.tolist() == [[1, 2, 3], [2, 3, 4]]
        assert cut.layer.weight.tolist() == [2, 4, 5]
    assert model.graph is graph
    assert model.layer.weight.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("further", [{}, {"inhibition": {"threshold": 0.1}}])
def test_lesions_of_a_sheet_leave_the_model_as_it_is(further):
    torch.manual_seed(0)
    model = build(grid.sheet(8, 8), attention={"edge_bias": "edge", **further})
    data = images()
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        intact = model(data.test_inputs).prediction
    edges = torch.arange(model.graph.num_edges) % 3 == 0
    with lesioned(model, torch.tensor([3, 5]), edges) as cut:
        states = model_states(cut, data.test_inputs)
        assert cut.graph.num_edges == int((~edges).sum())
    assert states.values[:, [3, 5]].abs().sum() == 0
    assert states.values[:, [0, 1, 2, 4]].abs().sum() > 0
    with torch.no_grad():
        assert model(data.test_inputs).prediction.equal(intact)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_hooks for part in model.modules())


def classification():
    """The label is the sign of the input; the two scores are those of the chain."""
    torch.manual_seed(0)
    label = torch.arange(30) % 2
    inputs = torch.stack([1.0 - 2 * label, 2.0 * label - 1], 1) + 0.1 * torch.randn(30, 2)
    return Dataset(inputs, label, inputs, label, 2)


def test_effects_of_lesions():
    """Column 4 is behind the one that is read; without column 1 all scores are equal."""
    model = Chain(chain_graph())
    lesions = {
        "unused": Lesion(torch.tensor([4])),
        "first": Lesion(torch.tensor([1])),
        "edge": Lesion(edges=torch.tensor([True, False, False, False])),
    }
    found = lesion_effects(model, classification(), lesions)
    assert found.row("unused", "accuracy") == ("unused", "accuracy", 1, 1, 0, 0, 0)
    assert found.loss_differences["unused"].abs().max() == 0
    assert found.row("first", "accuracy").difference == -0.5
    row = found.row("first", "loss")
    assert row.difference == pytest.approx(float(found.loss_differences["first"].mean()))
    assert row.low < row.difference < row.high
    assert found.row("edge", "loss")[1:] == row[1:]
    assert found.to_markdown().splitlines()[0].startswith("| lesion | metric |")
    assert repr(found) == "LesionEffects(3 lesions, 6 rows)"


class Function(nn.Module):
    """A model whose columns exchange values outside of any layer."""

    def __init__(self):
        super().__init__()
        self.graph = chain_graph()

    def forward(self, inputs):
        return ModelOutput(inputs, inputs.new_ones(5, len(inputs), 1))


def lesion(model=None, *parts, **options):
    with lesioned(model or Chain(chain_graph()), *parts, **options) as cut:
        cut(torch.ones(2, 1))


ERRORS = [
    (lambda: lesion(), "a lesion must be of columns or edges. Got neither"),
    (lambda: lesion(None, torch.tensor([5])), r"columns must be ids in \[0, 5\). Got 5"),
    (lambda: lesion(None, torch.tensor([1.0])), "columns must be int64 ids"),
    (lambda: lesion(None, edges=torch.ones(4)), "edges must be a bool mask of edges"),
    (lambda: lesion(None, edges=torch.ones(3).bool()), "edges must be a mask of the 4 edges"),
    (lambda: lesion(Function(), torch.tensor([1])), "columns can be silenced in layers"),
    (lambda: lesion_effects(Chain(chain_graph()), classification(), {}), "lesions must name at"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
