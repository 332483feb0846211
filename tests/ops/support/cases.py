"""Graphs and inputs for the tests of ops, and an attention of their own to compare with."""

import re
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns import Attention, ColumnGraph, column_attention

MASKS = {  # [N, M], who listens to whom
    "complete": torch.ones(5, 5, dtype=torch.bool),
    "every degree": torch.ones(7, 6, dtype=torch.bool).tril(-1),  # from none to all
    "sparse": torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0]]).bool(),
    "more sources": torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 0, 1]]).bool(),
    "fewer sources": torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1]]).bool(),
    "one column": torch.ones(1, 1, dtype=torch.bool),
    "no edges": torch.zeros(3, 2, dtype=torch.bool),
}


def graph_of(mask: Tensor) -> ColumnGraph:
    """Column i listens to source j where ``mask [N, M]`` says so."""
    target, source = mask.nonzero().T
    return ColumnGraph.from_edge_index(torch.stack([source, target]), *mask.shape)


def random_mask(columns: int, sources: int, density: float) -> Tensor:
    return torch.rand(columns, sources) < density


def exactly(message: str) -> str:
    """For ``pytest.raises(match=...)``: this message and no other."""
    return f"^{re.escape(message)}$"


class Case(NamedTuple):
    """Arguments of column_attention; every tensor requires its gradient."""

    mask: Tensor
    graph: ColumnGraph
    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    cost: Tensor | None

    @property
    def inputs(self) -> list[Tensor]:
        return [x for x in self[2:] if x is not None]

    def run(self, backend: str, **options) -> Attention:
        edges = {"bias": self.bias, "cost": self.cost}
        return column_attention(
            self.q, self.k, self.v, self.graph, **edges, backend=backend, **options
        )

    def to(self, dtype: torch.dtype) -> "Case":
        """The same values in another dtype."""
        values = [None if x is None else x.detach().to(dtype).requires_grad_() for x in self[2:]]
        return Case(self.mask, self.graph, *values)


def draw(
    mask: Tensor,
    batch: int = 2,
    heads: int = 2,
    width: int = 3,
    value_width: int | None = None,
    bias: str | None = "EH",
    cost: str | None = "E",
    shared_query: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Case:
    """Random arguments; ``bias`` and ``cost`` name their shape."""
    (columns, sources), edges = mask.shape, int(mask.sum())
    shapes = {None: None, "E": (edges,), "EH": (edges, heads)}

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype).requires_grad_()

    return Case(
        mask,
        graph_of(mask),
        normal(columns, 1 if shared_query else batch, heads, width),
        normal(sources, batch, heads, width),
        normal(sources, batch, heads, value_width or width),
        shapes[bias] and normal(*shapes[bias]),
        shapes[cost] and normal(*shapes[cost]),
    )


def oracle(case: Case, scale: float | None = None) -> Attention:
    """Dense masked softmax attention, written without the library."""
    mask, _, q, k, v, bias, cost = case
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    logits = torch.einsum("nbhd,mbhd->nmbh", q.expand(-1, *k.shape[1:]), k) * scale
    if bias is not None:
        logits = logits + _matrix(mask, bias)[:, :, None]
    heard = mask.any(1)
    closed = (~mask & heard[:, None])[:, :, None, None]  # nothing is closed in an empty row: no NaN
    logits = logits.masked_fill(closed, float("-inf"))
    p = torch.softmax(logits, 1) * heard[:, None, None, None]
    # The derivative of torch.logsumexp is taken from its rounded result.
    highest = logits.detach().amax(1, keepdim=True)
    lse = highest[:, 0] + torch.exp(logits - highest).sum(1).log()
    lse = lse.masked_fill(~heard[:, None, None], float("-inf"))
    out = torch.einsum("nmbh,mbhd->nbhd", p, v)
    total = None if cost is None else (p * _matrix(mask, cost)[:, :, None]).sum(1)
    return Attention(out, total, lse)


def _matrix(mask: Tensor, values: Tensor) -> Tensor:
    """``[E]`` or ``[E, H]`` as ``[N, M, 1 or H]``: edges come row by row."""
    values = values[:, None] if values.dim() == 1 else values
    matrix = values.new_zeros(*mask.shape, values.shape[1])
    return matrix.masked_scatter(mask[:, :, None], values)


def gradients(case: Case, result: Attention, seed: int = 0) -> list[Tensor]:
    """Gradients of all inputs when random ones arrive at all outputs."""
    outputs = [x for x in result if x is not None]
    generator = torch.Generator().manual_seed(seed)
    arriving = [
        torch.randn(x.shape, generator=generator, dtype=torch.float64).to(x) for x in outputs
    ]
    return list(torch.autograd.grad(outputs, case.inputs, arriving))


def assert_same(got: Case, want: Case, result: Attention, expected: Attention, tol: float) -> None:
    """Every output and every gradient, within ``tol`` of the largest value."""
    pairs = [*zip(result, expected, strict=True)]
    pairs += zip(gradients(got, result), gradients(want, expected), strict=True)
    for x, y in pairs:
        if y is None:
            assert x is None
        else:
            finite = y.detach()[y.isfinite()]
            size = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
            torch.testing.assert_close(x.to(y), y, rtol=0.0, atol=tol * size)


@st.composite
def cases(draw_from: st.DrawFn) -> Case:
    """Any small graph with any combination of arguments."""
    size = st.integers(1, 5)
    columns, sources = draw_from(size), draw_from(size)
    bits = st.lists(st.booleans(), min_size=columns * sources, max_size=columns * sources)
    mask = torch.tensor(draw_from(bits)).view(columns, sources)
    edge_shape = st.sampled_from([None, "E", "EH"])
    torch.manual_seed(draw_from(st.integers(0, 2**16)))
    return draw(
        mask,
        batch=draw_from(st.integers(1, 3)),
        heads=draw_from(st.integers(1, 3)),
        width=draw_from(st.integers(1, 4)),
        value_width=draw_from(st.integers(1, 4)),
        bias=draw_from(edge_shape),
        cost=draw_from(edge_shape),
        shared_query=draw_from(st.booleans()),
    )
