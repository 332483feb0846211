import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim, ShapesCollection, export

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv
from tests.nn.support.graphs import random_edges

N = 48
# Fewer than an eighth of all pairs: beyond that column_attention takes another backend, and a
# compiled layer is compiled once more.
SIZES = (60, 150, 93)
KINDS = {"edge_index": lambda e: e, "graph": lambda e: ColumnGraph.from_edge_index(e, N)}


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def same(a, b):
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "shape"), [("edge_index", (N, 8)), ("graph", (2, N, 8))])
def test_compiles_once_whatever_the_number_of_edges(kind, shape):
    make, conv, x = KINDS[kind], ColumnConv(8, 16, N, heads=2), torch.randn(shape)
    backend = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(conv, fullgraph=True, dynamic=True, backend=backend)
    frames = []
    for size in SIZES:
        edges = make(random_edges(N, size))
        out, expected = compiled(x, edges), conv(x, edges)
        same(out, expected)
        grads = [
            torch.autograd.grad(y.sin().sum(), list(conv.parameters())) for y in (out, expected)
        ]
        same(*grads)
        frames.append(backend.frame_count)
    assert frames == frames[:1] * len(SIZES)


def test_compiles_with_edge_features_and_dropout():
    conv, x = ColumnConv(8, 4, N, edge_dim=3, dropout=0.5), torch.randn(N, 8)
    compiled = torch.compile(conv, fullgraph=True, dynamic=True, backend="aot_eager")
    edges, edge_attr = KINDS["graph"](random_edges(N, 60)), torch.randn(60, 3)
    assert not torch.equal(compiled(x, edges, edge_attr), compiled(x, edges, edge_attr))
    conv.eval()
    same(compiled(x, edges, edge_attr), conv(x, edges, edge_attr))


@pytest.mark.parametrize("mode", ["untied", "lowrank"])
def test_compiles_with_column_id_and_edge_bias(mode):
    graph = ColumnGraph.from_edge_index(random_edges(N, 60), N)
    conv, x = ColumnConv(8, 4, N, weights=mode, edge_bias=graph), torch.randn(N, 8)
    torch.nn.init.normal_(conv.edge_bias.per_head)
    compiled = torch.compile(conv, fullgraph=True, backend="aot_eager")
    same(compiled(x, graph), conv(x, graph))
    column_id = torch.randperm(N)  # compiled, every node gathers its weights: no grouping
    same(compiled(x, graph, column_id=column_id), conv(x, graph, column_id=column_id))


OPTIONS = {
    "gate": {"root_weight": True, "beta": True},
    "keys_values": {"edge_dim": 3, "edge_features": "keys_values", "root_weight": True},
    "self-loops": {"edge_dim": 3, "add_self_loops": True},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_compiles_with_options(options, kind):
    conv, x = ColumnConv(8, 4, N, heads=2, **options), torch.randn(N, 8)
    edges = KINDS[kind](random_edges(N, 60))
    given = (torch.randn(60, 3),) if "edge_dim" in options else ()
    compiled = torch.compile(conv, fullgraph=True, backend="aot_eager")
    # How many self-loops PyG replaces is written in the edges.
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        out, expected = compiled(x, edges, *given), conv(x, edges, *given)
    same(out, expected)
    grads = [torch.autograd.grad(y.sin().sum(), list(conv.parameters())) for y in (out, expected)]
    same(*grads)


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_inductor(make):
    conv, x = ColumnConv(8, 16, N, heads=2), torch.randn(N, 8)
    compiled = torch.compile(conv, fullgraph=True, dynamic=True)
    for size in SIZES:
        edges = make(random_edges(N, size))
        same(compiled(x, edges), conv(x, edges))


def test_export_edge_index():
    conv, x = ColumnConv(8, 16, N, heads=2).eval(), torch.randn(N, 8)
    shapes = {"x": None, "edge_index": {1: Dim("E", min=2)}}
    program = export(conv, (x, random_edges(N, SIZES[0])), dynamic_shapes=shapes).module()
    for size in SIZES:
        edges = random_edges(N, size)
        same(program(x, edges), conv(x, edges))


def test_export_graph():
    conv, x = ColumnConv(8, 16, N, heads=2).eval(), torch.randn(N, 8)
    graph = KINDS["graph"](random_edges(N, SIZES[0]))
    shapes, edges = ShapesCollection(), Dim("E", min=2, max=N * N // 8 - 1)
    for per_edge in (graph.source, graph.target, graph.by_source.target):
        shapes[per_edge] = {0: edges}
    shapes[graph.by_source.permutation] = {0: edges}
    program = export(conv, (x, graph), dynamic_shapes=shapes).module()
    for size in SIZES:
        graph = KINDS["graph"](random_edges(N, size))
        same(program(x, graph), conv(x, graph))
