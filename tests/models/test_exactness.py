"""Attention along edges is the attention of a dense columnformer: forward and every gradient."""

import pytest
import torch
from torch import Tensor

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.nn import Column, ColumnAttention, EdgeBias, MeanReadout, Mixture, PatchEmbed
from tests.models.support import dense

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
CHANNELS = 8
BIASES = {"none": (), "edge": (True, False), "head": (False, True), "both": (True, True)}


def complete() -> ColumnGraph:
    return connect.complete(grid.stack([3, 4]))


def sparse() -> ColumnGraph:
    """10 % of the other columns, and itself."""
    geometry = grid.stack([3, 4])
    mask = (torch.rand(25, 25) < 0.1) | torch.eye(25, dtype=torch.bool)
    return ColumnGraph.from_edge_index(mask.nonzero().t().flip(0), 25).remeasure(geometry)


def column(graph: ColumnGraph, heads: int, bias: str = "none", **options) -> Column:
    count = graph.num_columns
    edge_bias = EdgeBias(graph, heads, *BIASES[bias], std=1.0) if bias != "none" else None
    mixture, rank = options.pop("mixture", None), options.pop("rank", 4)
    mlp, norm = options.pop("mlp", "untied"), options.pop("norm", "untied")
    skip = options.pop("skip", True)
    attention = ColumnAttention(count, CHANNELS, heads, edge_bias=edge_bias, **options)
    made = Column(count, attention, 12, mlp, norm, rank, mixture, skip)
    for parameter in made.parameters():  # gains of 1 and biases of 0 would hide mistakes
        with torch.no_grad():
            parameter += 0.3 * torch.randn_like(parameter)
    return made


def difference(ours: Tensor, theirs: Tensor, unit: Tensor | None = None) -> float:
    """Largest difference, relative to the largest entry (of `unit`)."""
    largest = (theirs if unit is None else unit).abs().max()
    return float((ours - theirs).abs().max().detach() / largest.detach())


def gradient_difference(made: Column, p: dict[str, Tensor]) -> dict[str, float]:
    """Of every parameter. Softmax does not see a key bias: its gradient is a sum that cancels,
    and is measured against that of the key weight."""
    units = {name: p[name.replace("key.bias", "key.weight")].grad for name in p}
    return {n: difference(q.grad, p[n].grad, units[n]) for n, q in made.named_parameters()}


def agree(made: Column, graph: ColumnGraph, heads: int, dtype: torch.dtype, **options) -> None:
    """Forward pass, expected cost, and the gradients of input and parameters."""
    made, tolerance = made.to(dtype), TOLERANCE[dtype]
    x = torch.randn(graph.num_columns, 3, CHANNELS, dtype=dtype, requires_grad=True)
    y = x.detach().transpose(0, 1).clone().requires_grad_()
    p = dense.parameters(made)
    cost = torch.rand(graph.num_edges, dtype=dtype)
    out, expected = made(x, graph, cost)
    dense_out, attention = dense.block(y, p, graph, heads, **options)
    dense_cost = (attention * dense.matrix(cost, graph)).sum(-1)  # [B, H, N]
    assert difference(out.transpose(0, 1), dense_out) < tolerance
    assert difference(expected.permute(1, 2, 0), dense_cost) < tolerance
    pull, price = torch.randn_like(dense_out), torch.randn_like(dense_cost)
    ((out.transpose(0, 1) * pull).sum() + (expected.permute(1, 2, 0) * price).sum()).backward()
    ((dense_out * pull).sum() + (dense_cost * price).sum()).backward()
    assert difference(x.grad.transpose(0, 1), y.grad) < tolerance
    gradients = gradient_difference(made, p)
    assert max(gradients.values()) < tolerance, gradients


@pytest.fixture(params=["dense", "edges"])
def form(request, monkeypatch):
    """Both forms of the op: as chosen on nearly complete graphs, and along the edges."""
    constant = "DENSE_FROM" if request.param == "dense" else "DENSE_LIMIT"
    monkeypatch.setattr(f"graphcolumns.ops.backend.{constant}", 0)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("graph", [complete, sparse])
def test_edge_attention_is_dense_attention(graph, heads, bias, dtype, form):
    topology = graph()
    agree(column(topology, heads, bias), topology, heads, dtype)


def low_width(graph: ColumnGraph) -> tuple[Column, dict]:
    """As in the first columnformer: value = input, narrow queries, full-width scale, no skip."""
    options = {"value": "input", "qk_channels": 3, "scale": CHANNELS**-0.5}
    made = column(graph, 1, "edge", qkv_bias=(True, False, False), skip=False, **options)
    return made, {"heads": 1, "scale": CHANNELS**-0.5, "skip": False}


def four_heads(graph: ColumnGraph) -> tuple[Column, dict]:
    return column(graph, 4, "both"), {"heads": 4}


def experts(graph: ColumnGraph) -> tuple[Column, dict]:
    """Shared attention and norms, a mixture of MLPs."""
    mixture = Mixture(graph.num_columns, 3)
    shared = {"weights": "shared", "norm": "shared", "mlp": "mixture", "rank": 3}
    return column(graph, 4, mixture=mixture, **shared), {"heads": 4}


@pytest.mark.parametrize("kind", [low_width, four_heads, experts])
def test_complete_graph_is_the_dense_block(kind):
    graph = complete()
    made, about = kind(graph)
    agree(made, graph, dtype=torch.float32, **about)


@pytest.mark.parametrize("kind", [low_width, four_heads, experts])
def test_random_edges_are_the_masked_dense_block(kind):
    graph = sparse()
    made, about = kind(graph)
    agree(made, graph, dtype=torch.float32, **about)


@pytest.mark.parametrize("memory", ["store", "recompute"])
@pytest.mark.parametrize("graph", [complete, sparse])
def test_recurrence_is_the_dense_block_again_and_again(graph, memory):
    """Gradients over steps, formed at once in the sheet, one by one in the oracle."""
    topology = graph()
    made = column(topology, 2, "edge")
    embed, readout = PatchEmbed(5, 1, CHANNELS), MeanReadout(CHANNELS, 3, norm="none")
    options = {"position_embedding": True, "time_embedding": True, "drive": "every_step"}
    model = Columnformer(topology, embed, made, readout, depth=4, memory=memory, **options).double()
    images = torch.randn(2, 1, 5, 5, dtype=torch.float64)
    p = dense.parameters(model.columns[0])
    tokens = embed(images).transpose(0, 1).detach()
    x = tokens + model.position.detach()[:, 0]
    for t in range(4):
        x = (x + tokens if t else x) + model.time.detach()[t, 0, 0]
        x, _ = dense.block(x, p, topology, 2)
    output = model(images)
    assert difference(output.state.transpose(0, 1), x) < 1e-10
    output.state.square().sum().backward()
    x.square().sum().backward()
    assert max(gradient_difference(model.columns[0], p).values()) < 1e-10
