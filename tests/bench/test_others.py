"""NATTEN and Anemoi are seldom installed: that is said, and their adapters meet doubles of them.

The doubles have the signatures of NATTEN 0.21 and anemoi-models 0.19, and compute what those say
they compute, in loops.
"""

import sys
from importlib.machinery import ModuleSpec
from itertools import product
from types import ModuleType

import pytest
import torch

from graphcolumns.bench import clock, contest, memory, neighbourhoods, others, suite
from graphcolumns.bench.clock import MachineLimits
from graphcolumns.bench.peers import PEERS, Peer
from graphcolumns.bench.problem import Shape, draw, graph_of_shape
from graphcolumns.ops import column_attention

GRID = draw(Shape(36, 9, 2, "grid", heads=2, width=4))
NEAR = draw(Shape(24, 5, 3, heads=2, width=4))


def na2d(query, key, value, kernel_size, stride=1, dilation=1, is_causal=False, scale=None):
    """`[B, X, Y, H, D]`; windows move inwards at a border."""
    _, rows, columns, _, width = query.shape
    out = torch.empty_like(query)
    for x, y in product(range(rows), range(columns)):
        left = min(max(x - kernel_size[0] // 2, 0), rows - kernel_size[0])
        top = min(max(y - kernel_size[1] // 2, 0), columns - kernel_size[1])
        here = slice(left, left + kernel_size[0]), slice(top, top + kernel_size[1])
        near_key, near_value = (t[:, *here].flatten(1, 2) for t in (key, value))
        score = torch.einsum("bhd,bkhd->bhk", query[:, x, y], near_key) * width**-0.5
        out[:, x, y] = torch.einsum("bhk,bkhd->bhd", score.softmax(-1), near_value)
    return out


class Conv(torch.autograd.Function):
    """Forward and dQ by target, dK and dV by source, as the kernels do."""

    @staticmethod
    def forward(ctx, query, key, value, edges, csc, reverse):
        row, colptr = csc
        out, level = torch.empty_like(query), query.new_empty(query.shape[:2])
        for i in range(len(query)):
            mine = slice(int(colptr[i]), int(colptr[i + 1]))
            score = _scores(query[i], key[row[mine]] + edges[mine])
            level[i] = score.logsumexp(0)
            weight = (score - level[i]).exp()[..., None]
            out[i] = (weight * (value[row[mine]] + edges[mine])).sum(0)
        ctx.save_for_backward(query, key, value, edges, out, level, *csc, *reverse)
        return out

    @staticmethod
    def backward(ctx, grad):
        q, k, v, edges, out, level, row, colptr, rowptr, ids, target = ctx.saved_tensors
        delta = (grad * out).sum(-1)
        dq, dk, dv = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for i in range(len(q)):
            for e in range(int(colptr[i]), int(colptr[i + 1])):
                key, value = k[row[e]] + edges[e], v[row[e]] + edges[e]
                ds = (_scores(q[i], key) - level[i]).exp() * ((grad[i] * value).sum(-1) - delta[i])
                dq[i] += ds[:, None] * key * q.shape[-1] ** -0.5
        for j in range(len(k)):
            for e in ids[int(rowptr[j]) : int(rowptr[j + 1])]:
                i = target[e]
                p = (_scores(q[i], k[j] + edges[e]) - level[i]).exp()
                ds = p * ((grad[i] * (v[j] + edges[e])).sum(-1) - delta[i])
                dk[j] += ds[:, None] * q[i] * q.shape[-1] ** -0.5
                dv[j] += p[:, None] * grad[i]
        return dq, dk, dv, None, None, None


def _scores(query, key):
    return (query * key).sum(-1) * query.shape[-1] ** -0.5


def graph_transformer_attention_conv(query, key, value, edges, csc, reverse):
    return Conv.apply(query, key, value, edges, csc, reverse)


@pytest.fixture
def installed(monkeypatch):
    """Puts modules in place: `installed("a.b", function)`."""

    def install(name, *functions):
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            module = ModuleType(".".join(parts[:end]))
            module.__spec__, module.__path__ = ModuleSpec(module.__name__, None), []
            monkeypatch.setitem(sys.modules, module.__name__, module)
        for function in functions:
            setattr(module, function.__name__, function)

    return install


DOUBLES = {
    "NATTEN": ("natten", na2d, GRID),
    "Anemoi": ("anemoi.models.triton.gt", graph_transformer_attention_conv, NEAR),
}


@pytest.mark.parametrize("name", DOUBLES)
def test_the_same_gradients(name, installed):
    module, function, problem = DOUBLES[name]
    installed(module, function)
    peer = PEERS[name]
    assert peer.missing(problem, "cuda") == ""
    work = contest._build(peer, problem, "cpu")
    assert callable(work), work
    ours = contest.peers.ours_unbiased(problem)()
    for mine, other in zip(ours, work(), strict=True):
        torch.testing.assert_close(peer.restore(problem, other), mine, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", DOUBLES)
@pytest.mark.parametrize("turned", [(1, 0, 2), (0, 2, 1), (2, 1, 0)])
def test_other_results_are_not_timed(name, turned, installed):
    """A version that takes its arguments in another order costs its own row."""
    module, function, problem = DOUBLES[name]

    def other(*args, **options):
        return function(*(args[n] for n in turned), *args[3:], **options)

    other.__name__ = function.__name__
    installed(module, other)
    assert str(contest._build(PEERS[name], problem, "cpu")).startswith("not timed: its gradient of")


def test_what_fails_says_so(installed):
    installed("natten")
    why = contest._build(PEERS["NATTEN"], GRID, "cpu")
    assert why.startswith("fails: ImportError: cannot import name 'na2d'")


def test_what_is_missing_says_so(installed, monkeypatch):
    monkeypatch.setattr(others, "find_spec", lambda name: None)
    for name in DOUBLES:
        assert PEERS[name].missing(GRID, "cuda") == "not installed"
    installed("natten")
    installed("anemoi.models")
    monkeypatch.undo()
    installed("natten")
    assert PEERS["NATTEN"].missing(NEAR, "cuda") == "regular grids only"
    assert PEERS["NATTEN"].missing(GRID, "cpu") == "runs on CUDA only"
    installed("anemoi.models")
    assert PEERS["Anemoi"].missing(GRID, "cpu") == "runs on CUDA only"


def test_a_package_without_the_part_is_not_installed(installed):
    assert not others._installed("a_package_that_nobody_has.part")
    installed("half")
    assert not others._installed("half.other")


@pytest.mark.parametrize("case", ["grid", "long_range"])
def test_missing_peers_are_in_the_table(case, monkeypatch):
    monkeypatch.setattr(others, "find_spec", lambda name: None)
    monkeypatch.setattr(neighbourhoods, "GRID", [GRID.shape])
    monkeypatch.setattr(neighbourhoods, "LONG_RANGE", [NEAR.shape._replace(far=0.4)])
    run = getattr(neighbourhoods, case)
    rows = {row.who: row for row in run("cpu", True, MachineLimits(1e9, 1e9))}
    missing = {"grid": "NATTEN", "long_range": "Anemoi"}[case]
    assert (rows[missing].seconds, rows[missing].note) == (None, "not installed")
    assert rows["FlexAttention"].note == "no backward pass on the CPU"
    assert rows["ours"].ratio == 1.0
    assert rows["ours, no bias"].ratio > 0


@pytest.mark.parametrize("right", [True, False])
def test_tiles_are_checked_and_timed(right, monkeypatch):
    """On a machine that says it has a GPU, with a double of the kernel in plain torch."""

    def double(q, k, v, graph, windows, *, bias):
        out, _, lse = column_attention(q, k, v, graph, bias=bias if right else None)
        return out + (0 if right else 1e-9 * bias.sum()), lse

    shape = Shape(40, 6, 2, far=0.5)
    monkeypatch.setattr(others, "find_spec", lambda name: None)
    monkeypatch.setattr(clock, "wait", lambda device: None)
    for module in (contest, neighbourhoods):
        monkeypatch.setattr(module, "draw", lambda shape, device: draw(shape))
    monkeypatch.setattr(neighbourhoods, "tiled_attention", double)
    monkeypatch.setattr(neighbourhoods, "LONG_RANGE_GPU", [shape])
    monkeypatch.setitem(PEERS, "FlexAttention", Peer(None, lambda *x: "not here"))
    rows = list(neighbourhoods.long_range("cuda", False, MachineLimits(1e9, 1e9)))
    tiles = [row for row in rows if row.who == "ours, tiles"]
    if right:
        assert [row.case for row in tiles] == ["long_range", "long_range, forward"]
        assert all(row.ratio > 0 for row in tiles)
        assert tiles[1].note.endswith("of the edges in tiles")
    else:
        assert tiles[0].note.startswith("not timed: its gradient of q is off by")
        assert len(tiles) == 1


def test_a_peer_that_needs_too_much_costs_its_own_row_only():
    def greedy(problem):
        def work():
            raise torch.OutOfMemoryError("CUDA out of memory")

        return work

    for peer in (Peer(greedy), Peer(greedy, restore=lambda problem, grad: grad)):
        why = contest._build(peer, NEAR, "cuda")
        assert why == "needs more memory than the GPU has"


@pytest.mark.parametrize(("name", "device"), contest.COMPILED)
def test_peers_that_compile_do_so_at_shapes_of_the_cases(name, device):
    """Or a changed shape would leave them out of the tables, and nobody would see it."""
    suffix = "_GPU" if device == "cuda" else ""
    cases = [(suite, "SHARED"), (neighbourhoods, "GRID"), (neighbourhoods, "LONG_RANGE")]
    shapes = {shape for module, case in cases for shape in getattr(module, case + suffix)}
    assert set(contest.COMPILED[name, device]) <= shapes


def test_memory_on_a_gpu_is_that_of_torch(monkeypatch):
    """In this process: beyond what was there, and of the second call."""
    held, most, calls = 100, [], []

    def work():
        calls.append(None)
        most.append(held + (500 if len(calls) == 1 else 300))

    monkeypatch.setattr(memory, "wait", lambda device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: held)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", most.clear)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: max(most))
    assert memory.on_gpu(work) == 300.0
    calls.clear()
    assert memory.peak(lambda: work, device="cuda") == 300.0


def test_windows_by_hand():
    """A grid of 4 x 4 and windows of 3 x 3: the corner and its neighbour have the same."""
    graph = graph_of_shape(Shape(16, 9, 1, "grid"))
    window = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    rows = graph.source.view(16, 9).tolist()
    assert rows[0] == rows[1] == rows[5] == window
    assert rows[15] == rows[10] == [n + 5 for n in window]
    assert rows[7] == [n + 1 for n in window]


@pytest.mark.parametrize("far", [0.25, 0.5, 1.0])
def test_far_edges_replace_the_farthest_of_the_near(far):
    shape = Shape(400, 8, 1)
    near, mixed = graph_of_shape(shape), graph_of_shape(shape._replace(far=far))
    assert mixed.in_degree.tolist() == [8] * 400
    keys = [graph.target.long() * 400 + graph.source for graph in (near, mixed)]
    kept = torch.isin(keys[1], keys[0]).float().mean().item()
    assert kept == pytest.approx(1 - far, abs=0.05)
    assert str(shape._replace(far=far)).endswith(f"{far:.0%} far")


@pytest.mark.parametrize(("columns", "degree"), [(50, 4), (49, 8), (4, 9)])
def test_a_grid_that_is_none(columns, degree):
    with pytest.raises(ValueError, match="a grid has a square of columns"):
        graph_of_shape(Shape(columns, degree, 1, "grid"))
