"""Which backend runs, and what is said when none can."""

import pytest
import torch

from graphcolumns import column_attention, edge_linear
from graphcolumns.ops import backend as backends
from graphcolumns.ops import kernels
from tests.ops.support.cases import draw, exactly, graph_of, random_mask

COMPLETE = graph_of(torch.ones(32, 32, dtype=torch.bool))
SPARSE = graph_of(torch.eye(32).bool())


def test_auto_takes_the_matrix_form_on_complete_graphs_only():
    assert backends.choose_backend("auto", COMPLETE, lanes=8, width=1) == "dense"
    assert backends.choose_backend("auto", SPARSE, lanes=8, width=32) == "reference"


def test_auto_is_bounded_by_memory(monkeypatch):
    monkeypatch.setattr(backends, "CPP_FROM", 2**40)  # else the kernels would take these
    monkeypatch.setattr(backends, "DENSE_LIMIT", 32 * 32 * 8)
    assert backends.choose_backend("auto", COMPLETE, lanes=8, width=32) == "dense"
    assert backends.choose_backend("auto", COMPLETE, lanes=9, width=32) == "reference"


@pytest.mark.parametrize(
    ("width", "density"), [(6, 1 / 2), (12, 1 / 4), (48, 1 / 16), (480, 1 / 20)]
)
def test_the_crossing_is_at_the_measured_numbers_per_pair(width, density):
    """Three numbers gathered per pair, but never below a density of 5 %."""
    edges = int(density * 40 * 40)
    at, below = (graph_of((torch.arange(1600) < n).view(40, 40)) for n in (edges, edges - 1))
    assert backends.choose_backend("auto", at, lanes=1, width=width) == "dense"
    assert backends.choose_backend("auto", below, lanes=1, width=width) == "reference"


@pytest.mark.parametrize("density", [0.05, 1.0])
def test_auto_runs_what_it_names(density):
    case = draw(random_mask(32, 32, density), width=4)
    name = backends.choose_backend("auto", case.graph, lanes=4, width=4)
    assert name == ("dense" if density == 1.0 else "reference")
    for x, y in zip(case.run("auto"), case.run(name), strict=True):
        assert torch.equal(x, y)


class TestCppByAuto:
    """From ``CPP_FROM`` numbers on, for float32 and float64 on a CPU."""

    @pytest.fixture(autouse=True)
    def built(self, monkeypatch):
        monkeypatch.setattr(kernels, "ready", lambda: True)

    def test_size(self):
        width = backends.CPP_FROM // 32
        assert backends.choose_backend("auto", SPARSE, lanes=1, width=width) == "cpp"
        assert backends.choose_backend("auto", SPARSE, lanes=1, width=width - 1) == "reference"

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_types_stay_with_the_reference(self, dtype):
        assert backends.choose_backend("auto", SPARSE, 10**9, 1, torch.float64) == "cpp"
        assert backends.choose_backend("auto", SPARSE, 10**9, 1, dtype) == "reference"

    def test_the_matrix_form_needs_more_numbers_per_pair_to_win(self, monkeypatch):
        monkeypatch.setattr(backends, "CPP_FROM", 1)
        assert backends.choose_backend("auto", COMPLETE, lanes=1, width=47) == "cpp"
        assert backends.choose_backend("auto", COMPLETE, lanes=1, width=48) == "dense"

    def test_other_devices(self):
        there = SPARSE.to("meta")
        assert backends.choose_backend("auto", there, lanes=10**9, width=1) == "reference"
        message = (
            "backend='cpp' runs on the CPU, and the graph is on meta: use backend='auto', or move "
            "graph and tensors with .to('cpu')"
        )
        with pytest.raises(ValueError, match=exactly(message)):
            backends.choose_backend("cpp", there, lanes=1, width=1)


@pytest.mark.cpp
def test_auto_with_cpp_compiles(monkeypatch):
    monkeypatch.setattr(backends, "CPP_FROM", 0)
    case = draw(torch.eye(32).bool(), dtype=torch.float32)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def run(graph, q, k, v):
        assert backends.choose_backend("auto", graph, 4, 3, q.dtype) == "cpp"
        return column_attention(q, k, v, graph).out

    torch._dynamo.reset()
    expected = column_attention(*case[2:5], case.graph, backend="reference").out
    torch.testing.assert_close(run(*case[1:5]), expected)


def test_a_named_backend_is_taken(backend):
    assert backends.choose_backend(backend, SPARSE, lanes=10**9, width=1) == backend


UNKNOWN = f"backend must be 'auto' or one of {backends.BACKENDS}, got 'cudnn'"
MISSING = (
    "backend='scatter' needs torch-scatter, which is not installed: "
    "pip install --no-build-isolation torch-scatter==2.1.2, or use backend='reference'"
)


def attend(backend: str) -> None:
    draw(torch.eye(3).bool()).run(backend)


def mix(backend: str) -> None:
    edge_linear(torch.ones(32, 1, 2), torch.ones(32), SPARSE, backend=backend)


@pytest.mark.parametrize("call", [attend, mix])
def test_unknown_backend(call):
    with pytest.raises(ValueError, match=exactly(UNKNOWN)):
        call("cudnn")


@pytest.mark.parametrize("call", [attend, mix])
def test_scatter_without_torch_scatter(call, monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=exactly(MISSING)):
        call("scatter")
    call("auto")  # never needs it


def test_nothing_optional_is_imported_before_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch_scatter", None)
    attend("reference")
    q = torch.ones(3, 1, 1, 1)
    column_attention(q, q, q, graph_of(torch.eye(3).bool()))
