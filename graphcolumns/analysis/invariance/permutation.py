"""Whether a layer treats its columns alike: it does if their order makes no difference."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphcolumns.analysis.invariance.check_inputs import (
    check_finite_output,
    tensor_in,
    without_dropout,
)
from graphcolumns.geometry.checks import check_choice
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.per_edge import held_graphs
from graphcolumns.nn.topology_state import settle


@torch.no_grad()
def permutation_error(
    layer: Callable[..., Any],
    x: Tensor,
    graph: ColumnGraph | None = None,
    *,
    permutation: Tensor | None = None,
    parameters: Literal["fixed", "permuted"] = "fixed",
    dim: int = 0,
    seed: int = 0,
) -> float:
    r"""Largest relative error of permutation equivariance.

    .. math::
        \frac{\max \lvert f(Px, PGP^\top) - P f(x, G) \rvert}
        {\max(\lvert f(Px, PGP^\top) \rvert, \lvert P f(x, G) \rvert)}

    with both maxima over the whole output: 0 if the order of the columns makes no difference (and
    0 for an output of zeros), about 1e-7 in float32 if the sums are only formed in another order.
    Attention with weights that all columns share is equivariant, with several heads too: heads are
    joined along channels. Weights per column, weights per edge and codes of positions are not,
    unless they are permuted along with the columns, ``parameters="permuted"``.

    Dropout of a module is off. Values per edge belong to the edges of one graph, so that a layer
    that has some needs ``"permuted"``, except on a complete graph.

    Args:
        layer: Layer ``layer(x, graph)``, or ``layer(x)`` without a graph, such as
            ``ColumnAttention``. It returns a tensor of the columns, a tuple that begins with one,
            or an output with a ``prediction``.
        x: State of the columns, ``[N, B, C]``, or with the columns in another dimension.
        graph: Edges among the columns, which are permuted too.
        permutation: Column here of each column of the permuted input, ``[N]`` int64 (default: one
            cycle through all columns in random order, so that none stays where it is).
        parameters: ``"fixed"``, or ``"permuted"`` to permute what the layer keeps per column and
            per edge, see :func:`permute_columns`.
        dim: Dimension of the columns, in ``x`` and in the output.
        seed: Seed of the permutation.

    Raises:
        ValueError: Fewer than two columns, a permutation that is none or changes nothing, a graph
            of another size, an output with other columns or one that is not finite.
        TypeError: A state that is not a floating tensor, or ``parameters="permuted"`` for
            something else than a layer.

    Source: Zaheer et al., Deep sets, NeurIPS 2017, https://arxiv.org/abs/1703.06114.
    """
    check_choice("parameters", parameters, ("fixed", "permuted"))
    count = _check_state(x, graph, dim)
    order = _random_cycle(count, seed) if permutation is None else permutation
    _check_permutation(order, count)
    if torch.equal(order, torch.arange(count, device=order.device)):
        raise ValueError(
            "permutation must change the order of the columns. Got the identity, for which every "
            "layer has error 0."
        )
    order = order.to(x.device)
    permuted = permute_columns(layer, order, graph) if parameters == "permuted" else layer
    moved_graph = None if graph is None else graph.permute(order)
    expected = _outputs(layer, x, graph, count, dim).index_select(dim, order)
    found = _outputs(permuted, x.index_select(dim, order), moved_graph, count, dim)
    largest = max(float(expected.abs().max()), float(found.abs().max()))
    return float((found - expected).abs().max()) / largest if largest else 0.0


@torch.no_grad()
def permute_columns(layer: Any, permutation: Tensor, graph: ColumnGraph | None = None) -> nn.Module:
    """A copy of a layer whose columns are in another order.

    Parameters and buffers that its modules name in ``column_tensors`` are permuted, and those in
    ``edge_tensors`` follow their edges; see ``graphcolumns.nn.protocols``.

    Args:
        layer: Layer that is given its graph with every call, such as ``Column``.
        permutation: Column here of each column of the copy, ``[N]`` int64.
        graph: Edges among the columns; needed for values per edge.

    Raises:
        TypeError: Not a module, or a model that keeps its graph.
        ValueError: A permutation that is none, values per edge without a graph, or a tensor that
            has not one entry per column.
    """
    if not isinstance(layer, nn.Module):
        raise TypeError(
            "parameters of a torch.nn.Module can be permuted. Got "
            f"{type(layer).__name__}; pass parameters='fixed'."
        )
    if any(held_graphs(part) for part in layer.modules()):
        raise TypeError(
            f"a layer must take its graph with every call. Got {type(layer).__name__}, which keeps "
            "one; build the model on graph.permute(permutation) and call "
            "graphcolumns.scaling.inherit.inherit."
        )
    _check_permutation(permutation, len(permutation))
    copied = deepcopy(layer)
    done: set[int] = set()
    moved_graph = None if graph is None else graph.permute(permutation)
    foreign: list[str] = []
    for path, part in copied.named_modules():
        if any(path.startswith(prefix) for prefix in foreign):
            continue
        if getattr(part, "own_columns", False):
            foreign.append(f"{path}." if path else "")
        _take(part, "column_tensors", permutation, path, done)
        if graph is not None and moved_graph is not None:
            edges = graph.permuted_edges(permutation)
            if _take(part, "edge_tensors", edges, path, done):
                settle([part], moved_graph)
        elif any(getattr(part, name, None) is not None for name in _names(part, "edge_tensors")):
            raise ValueError(
                f"values per edge follow their edges. Got {path or type(part).__name__} and no "
                "graph; pass graph."
            )
    return copied


def _names(part: nn.Module, kind: str) -> tuple[str, ...]:
    return tuple(getattr(part, kind, ()))


def _take(part: nn.Module, kind: str, ids: Tensor, path: str, done: set[int]) -> bool:
    """Permute the tensors of one module in place, each once; whether there are any."""
    tensors = {name: getattr(part, name, None) for name in _names(part, kind)}
    present = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    for name, tensor in present.items():
        if not tensor.ndim or len(tensor) != len(ids):
            what = "column" if kind == "column_tensors" else "edge"
            raise ValueError(
                f"{f'{path}.' if path else ''}{name} must have one entry per {what}, {len(ids)}. "
                f"Got shape {list(tensor.shape)}."
            )
        # Several modules may keep the same parameter.
        if id(tensor) not in done:
            done.add(id(tensor))
            tensor.copy_(tensor[ids.to(tensor.device)])
    return bool(present)


def _outputs(layer: Any, x: Tensor, graph: ColumnGraph | None, count: int, dim: int) -> Tensor:
    with without_dropout(layer):
        output = tensor_in(layer(x) if graph is None else layer(x, graph), "of the columns")
    if not -output.ndim <= dim < output.ndim or output.shape[dim] != count:
        raise ValueError(
            f"the output must have the {count} columns in dimension {dim}. Got "
            f"{list(output.shape)}; what has no columns can only be invariant."
        )
    check_finite_output(output)
    return output


def _check_state(x: Tensor, graph: ColumnGraph | None, dim: int) -> int:
    """The number of columns."""
    if not torch.is_tensor(x) or not x.is_floating_point():
        got = x.dtype if torch.is_tensor(x) else type(x).__name__
        raise TypeError(f"x must be a floating tensor. Got {got}; call .float() on a tensor.")
    if not -x.ndim <= dim < x.ndim:
        raise ValueError(f"dim must be a dimension of x, {list(x.shape)}. Got {dim}.")
    count = x.shape[dim]
    if count < 2:
        raise ValueError(
            f"at least two columns can exchange places. Got {count} in dimension {dim} of "
            f"{list(x.shape)}."
        )
    if graph is not None and (graph.num_columns, graph.num_sources) != (count, count):
        raise ValueError(
            f"the graph must join the {count} columns of x. Got {graph.num_sources} sources and "
            f"{graph.num_columns} columns."
        )
    return count


def _random_cycle(count: int, seed: int) -> Tensor:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    cycle = torch.empty_like(order)
    cycle[order] = order.roll(1)
    return cycle


def _check_permutation(permutation: Tensor, count: int) -> None:
    if not torch.is_tensor(permutation) or permutation.dtype != torch.int64:
        got = permutation.dtype if torch.is_tensor(permutation) else type(permutation).__name__
        raise TypeError(f"permutation must be an int64 tensor. Got {got}.")
    ids = torch.arange(count, device=permutation.device)
    if permutation.shape != (count,) or not torch.equal(permutation.sort().values, ids):
        raise ValueError(f"permutation must hold every id below {count} once. Got {permutation}.")
