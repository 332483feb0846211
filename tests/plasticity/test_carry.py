import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, Adafactor, Adagrad, AdamW, RMSprop
from torch.optim.swa_utils import AveragedModel

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv, EdgeBias
from graphcolumns.ops import column_attention
from graphcolumns.plasticity import (
    EdgeAdamW,
    carry,
    edge_parameters,
    epsilon,
    neighbours_median,
    node_mean,
    rewire,
    zero,
    zero_weight,
)
from tests.models.support.variants import GEOMETRY, VARIANTS, make, make_staged
from tests.plasticity.support.sheets import (
    eight,
    eight_rewired,
    line,
    pair_tensors,
    pairs,
    rewirings,
)

NONE = torch.tensor([], dtype=torch.int64)


class Weighted(nn.Module):
    """A user's layer: a weight, a mask and a frozen buffer per edge, and its graph."""

    edge_tensors = ("weight", "calls", "unused")

    def __init__(self, graph: ColumnGraph) -> None:
        super().__init__()
        self.topology = graph
        self.weight = nn.Parameter(torch.arange(1.0, graph.num_edges + 1))
        self.register_buffer("calls", torch.arange(graph.num_edges))
        self.unused = None

    def rewired(self, graph: ColumnGraph) -> None:
        self.topology = graph


def test_eight_edges_by_hand():
    layer = Weighted(eight())
    weight = layer.weight
    weight.grad = torch.arange(8.0)
    rewiring = eight_rewired()
    carry(rewiring, layer)
    # Means over the old in-edges: column 0 (1 + 2) / 2, column 2 (5 + 6 + 7) / 3, column 3: 8.
    assert weight.tolist() == [1, 1.5, 3, 4, 6, 5, 6, 8, 8]
    assert weight.grad.tolist() == [0, 0, 2, 3, 0, 4, 5, 7, 0]
    assert layer.calls.tolist() == [0, 0, 2, 3, 0, 4, 5, 7, 0]
    assert layer.weight is weight
    assert layer.topology is rewiring.graph


def test_other_starts_by_hand():
    layer = Weighted(eight())
    carry(eight_rewired(), layer, newborn=zero)
    assert layer.weight.tolist() == [1, 0, 3, 4, 0, 5, 6, 8, 0]
    layer = Weighted(eight())
    carry(eight_rewired(), layer, newborn=lambda module, name, rewiring: torch.tensor([7.0] * 3))
    assert layer.weight.tolist() == [1, 7, 3, 4, 7, 5, 6, 8, 7]


@pytest.mark.parametrize("signed", [False, True])
def test_weights_start_at_zero_and_scores_at_the_mean_by_hand(signed):
    """As the weights of a signed sum, an edge bias starts at 0, too."""
    layer, bias = Weighted(eight()), EdgeBias(eight())
    bias.signed = signed
    with torch.no_grad():
        bias.common.copy_(layer.weight)
    for module in (layer, bias):
        carry(eight_rewired(), module, newborn=zero_weight)
    assert layer.weight.tolist() == [1, 0, 3, 4, 0, 5, 6, 8, 0]
    scores = [1, 0, 3, 4, 0, 5, 6, 8, 0] if signed else [1, 1.5, 3, 4, 6, 5, 6, 8, 8]
    assert bias.common.tolist() == scores


def test_gaussian_start_follows_the_edges():
    """An edge bias knows the lengths of its newborns, and can start anew on them."""
    bias = EdgeBias(eight(), sigma=1.0, floor=-3.0)
    carry(eight_rewired(), bias)
    assert bias().tolist() == [0, -0.25, -0.5, -0.5, pytest.approx(-1 / 3), -0.5, 0, -3, -3]
    bias.reset_parameters()
    assert bias().tolist() == [0, -3, -0.5, -0.5, -2, -0.5, 0, -3, 0]  # -d^2 / 2, at least -3


def test_medians_by_hand():
    moment = torch.tensor([1.0, 9, 2, 4, 3, 5, 9, 8])  # edges 1 and 6 die
    rewiring = eight_rewired()
    # Survivors: column 0 {1}; column 2 {3, 5}, lower median 3; column 3 {8}.
    assert neighbours_median(moment, rewiring).tolist() == [1, 3, 8]
    heads = neighbours_median(torch.stack([moment, -moment], 1), rewiring)
    assert heads.tolist() == [[1, -1], [3, -5], [8, -8]]
    # No survivor at column 3: the median over all survivors, {1, 9, 2, 4, 3, 5, 9}.
    lonely = rewire(eight(), torch.tensor([7]), (torch.tensor([3]), torch.tensor([1])), line())
    assert neighbours_median(moment, lonely).tolist() == [4]
    everyone = rewire(eight(), torch.arange(8), (torch.tensor([3]), torch.tensor([1])), line())
    assert neighbours_median(moment, everyone).tolist() == [0]


OPTIMIZERS = {
    "sgd": lambda params: SGD(params, 0.1),
    "momentum": lambda params: SGD(params, 0.1, momentum=0.9),
    "adamw": lambda params: AdamW(params, 0.1, amsgrad=True),
    "fused": lambda params: AdamW(params, 0.1, fused=True),
    "adagrad": lambda params: Adagrad(params, 0.1),
    "rmsprop": lambda params: RMSprop(params, 0.1, momentum=0.5, centered=True),
    "edges": lambda params: EdgeAdamW([{"params": list(params), "edges": True}], 0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(max_examples=20)
@given(rewirings(), st.sampled_from(["cold", "median"]), st.booleans())
def test_state_by_key(name, rewiring, state, per_head):
    """Parameters and every moment of survivors are unchanged bit for bit, by key."""
    bias = EdgeBias(rewiring.before, heads=2, per_head=per_head, common=not per_head, std=0.5)
    [parameter] = bias.parameters()
    optimizer = OPTIMIZERS[name](bias.parameters())
    for _ in range(3):
        parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    before = bias.edges_of
    old = {"value": parameter.detach().clone(), "grad": parameter.grad.clone()}
    old |= {k: v.clone() for k, v in optimizer.state[parameter].items() if torch.is_tensor(v)}
    groups = [dict(group) for group in optimizer.param_groups]
    carry(rewiring, bias, optimizer, state=state)
    for group in (*optimizer.param_groups, *groups):
        assert group.pop("edges_of", [bias.edges_of]) in ([bias.edges_of], [before])
    new = {"value": parameter.detach(), "grad": parameter.grad, **optimizer.state[parameter]}
    place = {pair: e for e, pair in enumerate(pairs(rewiring.before))}
    died = set(rewiring.died.tolist())
    for key, values in old.items():
        if not values.ndim:
            assert new[key] == values  # one count for all edges
            continue
        assert new[key].shape == (rewiring.graph.num_edges, *values.shape[1:])
        for edge, pair in enumerate(pairs(rewiring.graph)):
            if pair in place and place[pair] not in died:
                assert torch.equal(new[key][edge], values[place[pair]])
            elif key == "grad" or (key not in ("value",) and state == "cold"):
                assert not new[key][edge].any()
    assert [dict(group) for group in optimizer.param_groups] == groups
    assert optimizer.param_groups[0]["params"][0] is parameter
    parameter.grad = torch.randn_like(parameter)
    optimizer.step()


def test_warm_second_moments():
    """Section 0.5: with moments of 0 under one old count, the 12th step is 6.6 times the rate."""
    bias = EdgeBias(eight())
    optimizer = AdamW(bias.parameters(), 0.1, weight_decay=0.0)
    optimizer.state[bias.common] = {
        "step": torch.tensor(100_000.0),
        "exp_avg": torch.ones(8),
        "exp_avg_sq": torch.ones(8),
    }
    rewiring, peak = eight_rewired(), {}
    for state in ("cold", "median"):
        module, stepped = copy.deepcopy((bias, optimizer))
        carry(rewiring, module, stepped, state=state)
        path = [module.common.detach().clone()]
        for _ in range(50):
            module.common.grad = torch.ones(9)
            stepped.step()
            path.append(module.common.detach().clone())
        peak[state] = (-torch.stack(path).diff(dim=0) / 0.1).amax(0)
        torch.testing.assert_close(peak[state][rewiring.survived], torch.ones(6))
    assert peak["cold"][1].item() == pytest.approx(6.6, abs=0.05)
    assert peak["median"][1].item() <= 1.0 + 1e-5


def test_unknown_state_is_refused():
    bias = EdgeBias(eight(), heads=2, common=False, per_head=True)
    optimizer = Adafactor(bias.parameters())
    bias.per_head.grad = torch.randn(8, 2)
    optimizer.step()
    before = bias.per_head.detach().clone()
    with pytest.raises(ValueError, match="optimizer state 'col_var' of per_head must have one"):
        carry(eight_rewired(), bias, optimizer)
    assert torch.equal(bias.per_head, before)  # nothing has changed


def test_loss_that_is_still_alive():
    """Its autograd nodes remember the old shape."""
    bias = EdgeBias(eight())
    loss = bias().square().sum()
    loss.backward(retain_graph=True)
    carry(eight_rewired(), bias)
    bias.zero_grad()
    bias().sum().backward()
    assert bias.common.grad.tolist() == [1.0] * 9
    assert loss.item() == 0


def test_averages():
    """Moving averages of weights: a newborn starts at its live value."""
    layer = Weighted(eight())
    average = AveragedModel(layer, multi_avg_fn=None)
    average.update_parameters(layer)
    with torch.no_grad():
        layer.weight += 100
    carry(eight_rewired(), layer, averages=[average.module])
    assert layer.weight.tolist() == [101, 101.5, 103, 104, 106, 105, 106, 108, 108]
    assert average.module.weight.tolist() == [1, 101.5, 3, 4, 106, 5, 6, 8, 108]
    average.update_parameters(layer)


def test_tied_and_shared():
    first, second = EdgeBias(eight(), std=0.1), EdgeBias(eight())
    second.common = first.common
    both = nn.ModuleList([first, second])
    assert edge_parameters(both) == [first.common]
    carry(eight_rewired(), both)
    assert second.common is first.common
    assert len(first.common) == 9


@pytest.mark.parametrize("name", VARIANTS)
def test_columnformer(name):
    """Layers with per-edge tensors and layers without go on, and learn, on the new edges."""
    options = VARIANTS[name]
    model = make(**options | {"cost": {"wiring": "distance"} | options.get("cost", {})})
    graph, norm = model.graph, model.wiring_norm
    optimizer = AdamW(model.parameters(), 1e-3)
    images = torch.randn(2, 1, 4, 4)
    model(images).prediction.square().sum().backward()
    optimizer.step()
    chosen = [(t, s) for t, s in zip(range(8), range(31, 23, -1), strict=True)]
    drop = torch.arange(0, graph.num_edges, 9)
    rewiring = rewire(graph, drop, pair_tensors(chosen), GEOMETRY)
    carry(rewiring, model, optimizer)
    assert model.graph is rewiring.graph
    assert model.wiring_norm == norm
    kinds = {"none": 0, "both": 2}.get(options.get("attention", {}).get("edge_bias", "edge"), 1)
    layers = 1 if model.recurrent else model.depth
    assert len(edge_parameters(model)) == kinds * layers or name == "feed-forward"
    optimizer.zero_grad()
    out = model(images)
    (out.prediction.square().sum() + out.cost.sum()).backward()
    optimizer.step()
    assert torch.isfinite(out.prediction).all()
    assert all(len(p.grad) == rewiring.graph.num_edges for p in edge_parameters(model))


def test_column_conv():
    graph = eight()
    conv = ColumnConv(3, 4, num_columns=4, heads=2, edge_bias=graph)
    plain = ColumnConv(3, 4, num_columns=4)
    net = nn.ModuleList([conv, plain])
    rewiring = eight_rewired()
    carry(rewiring, net)
    x = torch.randn(4, 3)
    assert conv(x, rewiring.graph).shape == (4, 8)
    plain(x, rewiring.graph)
    with pytest.raises(ValueError, match=r"topology|edges"):
        conv(x, graph)


def test_scores_are_the_same_on_the_same_edges():
    """Dropping an edge is masking it: the model does not notice anything else."""
    graph = eight()
    bias = EdgeBias(graph, heads=2, common=False, per_head=True, std=1.0)
    q, k, v = torch.randn(3, 4, 2, 2, 5).double()
    masked = bias().detach().double().clone()
    masked[[1, 6]] = -torch.inf
    expected = column_attention(q, k, v, graph, bias=masked).out
    rewiring = rewire(graph, torch.tensor([1, 6]), (NONE, NONE))
    carry(rewiring, bias)
    out = column_attention(q, k, v, rewiring.graph, bias=bias().double()).out
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kinds", [("common",), ("per_head",), ("common", "per_head")])
def test_epsilon_hardly_changes_the_function(kinds):
    """||do|| <= eps ||v - o|| on the samples that the gap was measured on."""
    graph, share = eight(), 0.01
    bias = EdgeBias(graph, 2, "common" in kinds, "per_head" in kinds, std=1.0).double()
    q, k, v = torch.randn(3, 4, 6, 2, 5).double()  # [N, B, H, D]
    old = column_attention(q, k, v, graph, bias=bias())
    rewiring = rewire(graph, NONE, (torch.tensor([0, 1, 3]), torch.tensor([3, 1, 2])), line())
    target, source = (
        x[rewiring.born].long() for x in (rewiring.graph.target, rewiring.graph.source)
    )
    gap = ((q[target] * k[source]).sum(-1) * 5**-0.5 - old.lse[target]).amax(1)  # [born, H]
    carry(rewiring, bias, newborn=epsilon(share, gap))
    new = column_attention(q, k, v, rewiring.graph, bias=bias()).out
    moved = (new - old.out).norm(dim=-1)[target]
    assert (moved <= share * (v[source] - old.out[target]).norm(dim=-1) + 1e-12).all()
    assert moved.max() > 0


@given(rewirings(), st.floats(-5, 5))
def test_node_mean_shifts_with_the_scores(rewiring, shift):
    """A constant added to all scores of one column and head is added to newborns too."""
    graph = rewiring.before
    one, other = (EdgeBias(graph, 2, False, True, std=1.0).double() for _ in range(2))
    other.per_head.data = one.per_head.detach().clone()
    other.per_head.data[graph.target == 0, 1] += shift
    for module in (one, other):
        carry(rewiring, module)
    expected = one.per_head.detach().clone()
    heard = bool((graph.target == 0).any())
    expected[rewiring.graph.target == 0, 1] += shift if heard else 0
    torch.testing.assert_close(other.per_head.detach(), expected)


def test_errors():
    rewiring = eight_rewired()

    class Deaf(nn.Module):
        def __init__(self):
            super().__init__()
            self.wiring = eight()

    class Absent(nn.Module):
        edge_tensors = ("scores",)

    for match, call in [
        ("common is declared per edge and must have 8", lambda: carry(rewiring, _grown())),
        ("keeps a ColumnGraph and cannot be rewired",
         lambda: carry(rewiring, nn.Sequential(Deaf()))),
        ("names 0.scores, not there", lambda: carry(rewiring, nn.Sequential(Absent()))),
        ("state must be 'cold' or 'median'", lambda: carry(rewiring, Deaf(), state="warm")),
        ("keeps another graph than the one that was rewired",
         lambda: carry(rewiring, Weighted(rewiring.graph))),
        ("a value per newborn for weight, shape .3,.. Got .2,",
         lambda: carry(rewiring, Weighted(eight()), newborn=lambda *_: torch.zeros(2))),
        ("epsilon must give newborns a share", lambda: epsilon(1.0, torch.zeros(1, 1))),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call()


def test_parts_on_another_graph_are_left_alone():
    net = nn.ModuleList([Weighted(eight()), Weighted(eight_rewired().graph)])
    carry(eight_rewired(), net)
    assert [len(part.weight) for part in net] == [9, 9]
    assert net[1].weight.tolist() == list(range(1, 10))


def test_all_edges_of_a_staged_columnformer_together_are_refused():
    model = make_staged()
    rewiring = rewire(model.graph, torch.tensor([0]), (NONE, NONE))
    with pytest.raises(ValueError, match="StagedColumnformer keeps another graph than the one"):
        carry(rewiring, model)


def test_a_graph_of_a_staged_columnformer_is_changed():
    model = make_staged()
    edges = {name: graph.num_edges for name, graph in model.graphs.items()}
    for name, graph in model.graphs.items():
        carry(rewire(graph, torch.tensor([0]), (NONE, NONE)), model)
        edges[name] -= 1
        assert {name: graph.num_edges for name, graph in model.graphs.items()} == edges


def _grown():
    bias = EdgeBias(eight())
    bias.common.data = torch.zeros(9)
    return bias


def test_node_mean_is_the_default():
    bias = EdgeBias(eight(), std=1.0)
    twin = copy.deepcopy(bias)
    carry(eight_rewired(), bias)
    carry(eight_rewired(), twin, newborn=node_mean)
    assert torch.equal(bias(), twin())
