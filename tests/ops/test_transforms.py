"""Ops under torch.func, in forward mode and with batched gradients, whatever the backend."""

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from graphcolumns import ColumnGraph, column_attention, edge_linear, untied_linear
from tests.ops.support.cases import MASKS, graph_of

N, E = 4, 7
INF = float("inf")


def graph() -> ColumnGraph:
    """The last column hears nothing, the first source is heard by nobody."""
    pairs = torch.cartesian_prod(torch.arange(1, N), torch.arange(N - 1))
    return ColumnGraph.from_edge_index(pairs[torch.randperm(len(pairs))[:E]].t(), N)


def draw(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    return tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)


def attend(backend: str, **options):
    edges = graph()

    def run(q, k, v, bias, cost):
        options.setdefault("seed", 7)
        a = column_attention(q, k, v, edges, bias=bias, cost=cost, backend=backend, **options)
        return torch.cat([a.out.flatten(), a.cost.flatten(), a.lse[: N - 1].flatten()])

    return run, draw((N, 2, 2, 2), (N, 2, 2, 2), (N, 2, 2, 1), (E, 2), (E,))


def attend_with_dropout(backend: str):
    return attend(backend, dropout=0.3)


def attend_with_one_query(backend: str):
    run, (q, *rest) = attend(backend)
    return run, (q[:, :1], *rest)


def mix(backend: str, per_edge: tuple[int, ...] = (2,)):
    edges = graph()
    return lambda x, weight: edge_linear(x, weight, edges, backend=backend), draw(
        (N, 2, 4), (E, *per_edge)
    )


def mix_scalars(backend: str):
    return mix(backend, ())


def mix_channels(backend: str):
    return mix(backend, (4,))


def multiply(backend: str):
    backend = backend if backend == "cpp" else "reference"
    return lambda x, w, b: untied_linear(x, w, b, backend=backend), draw(
        (N, 2, 3), (N, 3, 4), (N, 4)
    )


def recur(backend: str):
    def run(x, weight, bias):
        steps = untied_linear.unroll(weight, bias, 3, 2, backend="cpp")
        for step in steps if backend == "cpp" else [None] * 3:
            x = untied_linear(x, weight, bias, step=step).sin()
        return x

    return run, draw((N, 2, 2), (N, 2, 2), (N, 2))


CASES = [
    attend,
    attend_with_dropout,
    attend_with_one_query,
    mix,
    mix_scalars,
    mix_channels,
    multiply,
    recur,
]


# Without torch-scatter: batched gradients of its kernels are its own affair.
OURS = ["reference", "dense", pytest.param("cpp", marks=pytest.mark.cpp)]


@pytest.fixture(params=OURS)
def ours(request):
    return request.param


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request, ours, small):
    return request.param(ours)


def same(a, b, atol=1e-10):
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-8)


def everything(inputs) -> tuple[int, ...]:
    return tuple(range(len(inputs)))


def test_jacobians_are_those_of_reverse_mode(case):
    f, inputs = case
    expected = jacobian(f, inputs)
    same(jacrev(f, everything(inputs))(*inputs), expected)
    same(jacfwd(f, everything(inputs))(*inputs), expected)


def test_vectorized_jacobians(case):
    f, inputs = case
    expected = jacobian(f, inputs)
    same(jacobian(f, inputs, vectorize=True), expected)
    same(jacobian(f, inputs, vectorize=True, strategy="forward-mode"), expected)


def test_hessians(case):
    f, inputs = case

    def loss(*inputs):
        return f(*inputs).sin().sum()

    wanted = (0, len(inputs) - 1)
    got = hessian(loss, wanted)(*inputs)
    expected = torch.autograd.functional.hessian(loss, inputs)
    same(got, tuple(tuple(expected[i][j] for j in wanted) for i in wanted))
    vectorized = torch.autograd.functional.hessian(loss, inputs, vectorize=True)
    same(vectorized, expected)


def test_gradients_per_sample(case):
    f, inputs = case
    samples = torch.stack([inputs[0], -2 * inputs[0], inputs[0].flip(0)])

    def loss(x, *rest):
        return f(x, *rest).sin().sum()

    in_dims = (0, *[None] * (len(inputs) - 1))
    got = vmap(grad(loss, everything(inputs)), in_dims)(samples, *inputs[1:])
    for which, x in enumerate(samples):
        leaves = [y.clone().requires_grad_() for y in (x, *inputs[1:])]
        expected = torch.autograd.grad(loss(*leaves), leaves)
        same(tuple(y[which] for y in got), expected)


def test_tangents_and_their_transpose(case):
    f, inputs = case
    tangents = tuple(torch.randn_like(x) for x in inputs)
    out, tangent = jvp(f, inputs, tangents)
    same(out, f(*inputs))
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(x, t) for x, t in zip(inputs, tangents, strict=True)]
        same(forward_ad.unpack_dual(f(*duals)).tangent, tangent)
    cotangent = torch.randn_like(out)
    backward = vjp(f, *inputs)[1](cotangent)
    same(
        (cotangent * tangent).sum(),
        sum((a * b).sum() for a, b in zip(backward, tangents, strict=True)),
    )


def test_torch_checks_every_mode(case):
    f, inputs = case
    leaves = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(
        f,
        leaves,
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
    )
    assert torch.autograd.gradgradcheck(f, leaves, check_fwd_over_rev=True, fast_mode=True)


@pytest.mark.parametrize("name", MASKS)
def test_all_graphs(name, backend):
    edges = graph_of(MASKS[name])
    q, k = draw((edges.num_columns, 2, 1, 3), (edges.num_sources, 2, 1, 3))

    def attention(q):
        return column_attention(q, k, k, edges, backend=backend).out

    def linear(k):
        weight = torch.ones(edges.num_edges, dtype=k.dtype)
        return edge_linear(k.flatten(2), weight, edges, backend=backend)

    for f, x in ((attention, q), (linear, k)):
        same(jacfwd(f)(x), jacobian(f, x))
        same(vmap(f)(torch.stack([x, 2 * x])), torch.stack([f(x), f(2 * x)]))


@pytest.mark.parametrize("per_head", [False, True])
def test_closed_edges_let_nothing_through(per_head):
    """Column 0 hears an open and a closed source, column 1 only closed ones; they hold NaN."""
    edges = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1, 2], [0, 0, 1, 1]]), 3)
    bias = torch.tensor([0.0, -INF, -INF, -INF], dtype=torch.float64)
    bias = bias[:, None].expand(4, 2).contiguous() if per_head else bias
    (x,) = draw((3, 1, 2, 3))
    x = x.index_fill(0, torch.tensor([1, 2]), torch.nan)
    query = draw((3, 1, 2, 3))[0]

    def loss(q, kv, bias):
        a = column_attention(q, kv, kv, edges, bias=bias, cost=bias.exp())
        return a.out.sum() + a.cost.sum() + a.lse[:1].sum()

    for gradients in (
        grad(loss, (0, 1, 2))(query, x, bias),
        jacfwd(loss, (0, 1, 2))(query, x, bias),
        hessian(loss)(query, x, bias),
    ):
        assert all(y.isfinite().all() for y in torch.utils._pytree.tree_leaves(gradients))
    value = grad(lambda v: column_attention(query, x, v, edges, bias=bias).out.sum())(x)
    same(value, torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1).expand_as(x))


def test_scores_may_be_shifted_far():
    f, (q, k, v, bias, cost) = attend("reference")

    def out(bias):
        return f(q, k, v, bias, cost)[: N * 2 * 2]

    for shift in (1e4, -1e8):
        torch.testing.assert_close(jacfwd(out)(bias + shift), jacfwd(out)(bias), atol=1e-6, rtol=0)


class TestDropout:
    def loss(self, seed):
        edges = graph()
        return lambda q, seed=seed: (
            column_attention(q, q, q, edges, dropout=0.5, seed=seed).out.sin().sum()
        )

    def test_a_seed_per_sample(self):
        f, (q,) = self.loss(None), draw((N, 1, 2, 3))
        samples, seeds = torch.stack([q, -q, q]), torch.tensor([3, 4, 5])
        got = vmap(grad(f))(samples, seeds)
        same(got, torch.stack([grad(f)(x, s) for x, s in zip(samples, seeds, strict=True)]))
        assert not torch.equal(got[0], got[2])

    def test_is_drawn_per_sample_or_once(self):
        f, (q,) = self.loss(None), draw((N, 1, 2, 3))
        samples = q.expand(4, *q.shape)
        assert len(vmap(f, randomness="different")(samples).unique()) > 1
        assert len(vmap(f, randomness="same")(samples).unique()) == 1
        with pytest.raises(RuntimeError, match="randomness"):
            vmap(f)(samples)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precisions(dtype):
    edges = graph()
    q = torch.randn(N, 2, 2, 3).to(dtype)

    def attention(q):
        return column_attention(q, q, q, edges).out

    def linear(q):
        return edge_linear(q.flatten(2), torch.ones(E, dtype=dtype), edges)

    for f in (attention, linear):
        got = vmap(f)(torch.stack([q, -q]))
        assert got.dtype == dtype
        torch.testing.assert_close(got[0], f(q))
        assert jacfwd(f)(q).dtype == dtype


@pytest.mark.parametrize("make", [attend, mix, multiply], ids=lambda make: make.__name__)
def test_compiled(make):
    torch._dynamo.reset()
    f, inputs = make("reference")
    samples = torch.stack([inputs[0], -inputs[0]])

    def per_sample(x):
        return vmap(grad(lambda x: f(x, *inputs[1:]).sin().sum()))(x)

    compiled = torch.compile(per_sample, backend="aot_eager", fullgraph=True)
    same(compiled(samples), per_sample(samples))


def test_large_calls_build_no_kernels(monkeypatch):
    """Plain torch takes over before a backend is chosen: ``auto`` compiles nothing for it."""
    from graphcolumns.ops import kernels

    monkeypatch.setattr(kernels, "ready", lambda: pytest.fail("looked for the kernels"))
    edges, q = graph(), torch.randn(N, 512, 2, 8)
    vmap(lambda q: column_attention(q, q, q, edges).out)(q[None])
    vmap(lambda q: edge_linear(q.flatten(2), torch.ones(E), edges))(q[None])


def test_a_wrong_backend_is_still_refused():
    edges, q = graph(), torch.randn(N, 1, 2, 3)
    with pytest.raises(ValueError, match="backend must be"):
        vmap(lambda q: column_attention(q, q, q, edges, backend="fast").out)(q[None])
