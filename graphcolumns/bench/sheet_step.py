"""A whole training step of a sheet, as we do it and as it would be written without us."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter, softmax

from graphcolumns.bench.clock import Work
from graphcolumns.bench.problem import Shape, graph_of_shape
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import Column, EdgeBias
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.ops import Attention, column_attention, untied_linear


class StepShape(NamedTuple):
    """Sizes of a step: N, C, K, B, T."""

    columns: int = 4096
    channels: int = 64
    degree: int = 32
    batch: int = 8
    depth: int = 4

    def __str__(self) -> str:
        n, c, k, b, t = self
        return f"N={n} C={c} K={k} B={b} T={t}"


def our_step(shape: StepShape, device: str = "cpu", inside: bool = False) -> Work:
    """One recurrent layer of untied columns, forward, backward and AdamW.

    ``inside`` the backward pass AdamW takes each gradient as soon as it is complete and frees it.
    """
    return _step(shape, device, unrolled=True, inside=inside)


def reference_step(shape: StepShape, device: str = "cpu") -> Work:
    """The same in plain torch, weight gradients by autograd."""
    with_reference = partial(column_attention, backend="reference")
    return _patched(_step(shape, device, unrolled=False), with_reference)


def pyg(shape: StepShape, device: str = "cpu", inside: bool = False) -> Work:
    """The same with PyG's softmax and scatter for attention, the rest in plain torch."""
    return _patched(_step(shape, device, unrolled=False, inside=inside), _pyg_attention)


STEPS = {
    "ours": our_step,
    "our reference, autograd": reference_step,
    "PyG softmax and scatter": pyg,
}
INSIDE = {"ours": our_step, "PyG softmax and scatter": pyg}


def step_parts(shape: StepShape, device: str = "cpu") -> dict[str, Work]:
    """The attention and the untied products of one step alone, forward and backward."""
    from graphcolumns.bench import peers, problem

    attention = Shape(shape.columns, shape.degree, shape.batch, width=shape.channels // 4)
    return {
        "attention": _repeat(peers.ours(problem.draw(attention, device)), shape.depth),
        "untied products": _products(shape, device),
    }


def _step(shape: StepShape, device: str, unrolled: bool, inside: bool = False) -> Work:
    torch.manual_seed(0)
    n, c, k, b, depth = shape
    graph = graph_of_shape(Shape(n, k, b)).to(device)
    column = _column(graph, c).to(device)
    optimizers = [] if inside else [torch.optim.AdamW(column.parameters(), fused=True)]
    for parameter in column.parameters() if inside else ():
        parameter.register_post_accumulate_grad_hook(_adamw_of(parameter))
    x = torch.randn(n, b, c, device=device)

    def work() -> None:
        state = x
        uses = column.unroll(depth, b) if unrolled else [None] * depth
        for use in uses:
            state, _ = column(state, graph, None, use)
        state.square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return work


def _adamw_of(parameter: Tensor) -> Callable[[Tensor], None]:
    optimizer = torch.optim.AdamW([parameter], fused=True)

    def step(_: Tensor) -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _column(graph: ColumnGraph, channels: int) -> Column:
    bias = EdgeBias(graph, 4)
    attention = ColumnAttention(graph.num_columns, channels, 4, edge_bias=bias)
    return Column(graph.num_columns, attention, 2 * channels)


def _products(shape: StepShape, device: str) -> Work:
    """The six linear maps of all steps."""
    n, c, _, b, depth = shape
    column = _column(graph_of_shape(Shape(n, 1, b)).to(device), c).to(device)
    maps = {f"attention.{name}": m for name, m in column.attention.linears().items()}
    maps |= {"hidden": column.hidden, "mlp": column.out}
    inputs = {
        name: torch.randn(n, b, m.in_channels, device=device, requires_grad=True)
        for name, m in maps.items()
    }
    grads = {name: torch.randn(n, b, m.out_channels, device=device) for name, m in maps.items()}

    def work() -> None:
        outputs, upstream = [], []
        for use in column.unroll(depth, b):
            for name, linear in maps.items():
                outputs.append(linear(inputs[name], use[name]))
                upstream.append(grads[name])
        torch.autograd.backward(outputs, upstream)
        column.zero_grad(set_to_none=True)

    return work


def _pyg_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    graph: ColumnGraph,
    *,
    bias: Tensor | None = None,
    scale: float | None = None,
    **ignored: Any,
) -> Attention:
    source, target = graph.edge_index
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    score = (q[target] * k[source]).sum(-1) * scale
    if bias is not None:
        score = score + bias.view(len(bias), 1, -1)
    weight = softmax(score, target, num_nodes=graph.num_columns)
    out = scatter(weight[..., None] * v[source], target, 0, graph.num_columns, "sum")
    return Attention(out, None, score.new_empty(0))


def _patched(work: Work, attention: Any) -> Work:
    """The same work with another attention inside the layer, and with torch's batched products."""
    products = partial(untied_linear, backend="reference")

    def patched() -> None:
        with (
            patch("graphcolumns.nn.attention.column_attention", attention),
            patch("graphcolumns.nn.untied.untied_linear", products),
        ):
            work()

    return patched


def _repeat(work: Work, times: int) -> Work:
    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated


def parameters(shape: StepShape) -> int:
    """Numbers that the step trains."""
    module: nn.Module = _column(
        graph_of_shape(Shape(shape.columns, shape.degree, 1)), shape.channels
    )
    return sum(p.numel() for p in module.parameters())
