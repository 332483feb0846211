"""Moments per edge are used on their edges alone."""

import copy
import io

import pytest
import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from graphcolumns.models.columnformer import Columnformer
from graphcolumns.plasticity import EdgeAdamW, carry, edge_parameters, keep_edges
from tests.models.support.variants import make
from tests.models.test_rewired_state import IMAGES, change


def edge_adamw(model: Columnformer) -> EdgeAdamW:
    edges = edge_parameters(model)
    others = [p for p in model.parameters() if not any(p is edge for edge in edges)]
    return EdgeAdamW([{"params": others}, {"params": edges, "edges": True}], lr=1e-2)


def stock(kind: type[Optimizer]):
    def build(model: Columnformer) -> Optimizer:
        edge_parameters(model)
        optimizer = kind(model.parameters(), lr=1e-2)
        keep_edges(optimizer)
        return optimizer

    return build


OPTIMIZERS = {
    "EdgeAdamW": edge_adamw,
    "AdamW": stock(AdamW),
    "Adam": stock(Adam),
    "SGD": stock(lambda p, lr: SGD(p, lr, momentum=0.9)),
}


@pytest.fixture(params=OPTIMIZERS.values(), ids=OPTIMIZERS)
def build(request):
    return request.param


def stepped(model: Columnformer, optimizer: Optimizer) -> None:
    optimizer.zero_grad()
    model(IMAGES).prediction.square().sum().backward()
    optimizer.step()


def saved(state: dict) -> dict:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@pytest.mark.parametrize("born", [3, 9])
def test_model_and_optimizer_come_back_and_go_on_alike(build, born):
    model = make().eval()
    optimizer = build(model)
    stepped(model, optimizer)
    carry(change(model.graph, born), model, optimizer)
    stepped(model, optimizer)
    fresh = make().eval()
    fresh.load_state_dict(saved(model.state_dict()))
    resumed = build(fresh)
    resumed.load_state_dict(saved(optimizer.state_dict()))
    for pair in ((model, optimizer), (fresh, resumed)):
        stepped(*pair)
    for mine, theirs in zip(fresh.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("born", [3, 9])
def test_moments_of_other_edges_are_refused(build, born):
    """Also of as many: those would be loaded, and each used for another edge."""
    model, fresh = make().eval(), make().eval()
    optimizer, other = build(model), build(fresh)
    stepped(model, optimizer)
    carry(change(model.graph, born), model, optimizer)
    state = saved(optimizer.state_dict())
    with pytest.raises(ValueError, match="moments per edge must be used on the edges"):
        other.load_state_dict(state)
    stepped(fresh, other)
    fresh.load_state_dict(model.state_dict())
    other = build(fresh)
    other.load_state_dict(state)


def test_moments_that_the_model_left_behind_are_refused():
    """Loading a state into the model changes its edges under the optimizer."""
    model = make().eval()
    optimizer = edge_adamw(model)
    stepped(model, optimizer)
    other = make()
    carry(change(other.graph), other)
    model.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match="moments per edge must be used on the edges"):
        stepped(model, optimizer)
    with pytest.raises(ValueError, match="moments per edge must be used on the edges"):
        carry(change(model.graph), model, optimizer)


def test_a_state_of_an_earlier_version_is_checked_by_its_size():
    model = make().eval()
    optimizer = edge_adamw(model)
    stepped(model, optimizer)
    state = copy.deepcopy(optimizer.state_dict())
    for group in state["param_groups"]:
        group.pop("edges_of", None)
    edge_adamw(make()).load_state_dict(state)
    wide = make()
    carry(change(wide.graph, 9), wide)
    with pytest.raises(ValueError, match="must be loaded for as many edges"):
        edge_adamw(wide).load_state_dict(state)
