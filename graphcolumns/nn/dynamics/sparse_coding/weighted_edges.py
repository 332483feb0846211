"""Edges and their weights, as a dictionary or as lateral inhibition."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.dynamics.sparse_coding.checks import check_unit_norms
from graphcolumns.nn.dynamics.sparse_coding.overlaps import overlap_sums, overlaps

if TYPE_CHECKING:
    import scipy.sparse


class WeightedEdges(NamedTuple):
    """A graph with one weight per edge, which is a sparse matrix.

    Attributes:
        graph: The edges.
        weight: Weight of every edge, ``[E]``.
        largest_dropped: Largest size of an entry that was left out.
    """

    graph: ColumnGraph
    weight: Tensor
    largest_dropped: float = 0.0


def atom_edges(dictionary: Tensor | scipy.sparse.sparray | scipy.sparse.spmatrix) -> WeightedEdges:
    """Edges from inputs to units: every non-zero value of a dictionary, exactly.

    Args:
        dictionary: Atoms of unit norm in its rows, ``[n, m]``: a tensor, or a sparse matrix of
            SciPy, which is never made dense.

    Returns:
        A bipartite graph from ``m`` inputs to ``n`` units, and a weight per edge.

    Raises:
        ValueError: Another shape, atoms that are not of unit norm or not finite.
        TypeError: Neither a floating tensor nor a sparse matrix.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import atom_edges
        >>> atom_edges(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]])).graph
        ColumnGraph(num_columns=2, num_sources=3, num_edges=3)
    """
    if isinstance(dictionary, Tensor):
        edges = _from_tensor(dictionary)
    else:
        edges = WeightedEdges(*ColumnGraph.from_scipy(dictionary, "weight"))
    check_unit_norms(_norms(edges).detach(), "rows divided by their norms")
    return edges


def _from_tensor(dictionary: Tensor) -> WeightedEdges:
    if dictionary.dim() != 2 or not dictionary.is_floating_point() or 0 in dictionary.shape:
        raise ValueError(
            "dictionary must be a floating tensor [n, m], an atom in every row. Got "
            f"{dictionary.dtype} of shape {list(dictionary.shape)}."
        )
    unit, value = dictionary.detach().nonzero(as_tuple=True)
    graph = ColumnGraph.from_edge_index(torch.stack([value, unit]), *dictionary.shape)
    return WeightedEdges(graph, dictionary[graph.target.long(), graph.source.long()])


def normalized_edges(graph: ColumnGraph, values: Tensor) -> WeightedEdges:
    """Atoms with given supports: one value per edge, scaled to unit norm for every unit.

    With a graph from a geometry, values may be any function of its lengths, such as
    ``torch.exp(-graph.distance**2)``. They may require a gradient.

    Args:
        graph: Bipartite graph from inputs to units.
        values: Value of every edge, ``[E]``.

    Raises:
        ValueError: Another number of values, or a unit whose values are all 0 or not finite.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn.dynamics import normalized_edges
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 2], [0, 0, 1]]), 2, 3)
        >>> normalized_edges(graph, torch.tensor([3.0, 4.0, 2.0])).weight
        tensor([0.6000, 0.8000, 1.0000])
    """
    if values.shape != (graph.num_edges,):
        raise ValueError(
            f"values must be one per edge, [{graph.num_edges}]. Got {list(values.shape)}."
        )
    edges = WeightedEdges(graph, values)
    norms = _norms(edges)
    empty = ~(norms.detach() > 0) | ~norms.detach().isfinite()
    if bool(empty.any()):
        raise ValueError(
            "atoms must have a finite value that is not 0. Got none for unit "
            f"{int(empty.nonzero()[0])}; give it an edge with one."
        )
    return edges._replace(weight=values / norms[graph.target])


def _norms(edges: WeightedEdges) -> Tensor:
    weight = edges.weight
    total = weight.new_zeros(edges.graph.num_columns)
    return total.index_add(0, edges.graph.target, weight.square()).sqrt()


def lateral_edges(atoms: WeightedEdges, epsilon: float = 0.0) -> WeightedEdges:
    r"""Edges between units whose atoms overlap, with weights minus their Gram matrix.

    Exact with ``epsilon=0``: if atoms have local supports, the Gram matrix is sparse, and the graph
    has all of it. With a larger ``epsilon``, entries below it are dropped. The fixed point then
    solves a LASSO whose weights differ from :math:`\lambda` by at most
    :math:`\epsilon \lVert a \rVert_1` for every unit, but the truncated Gram matrix need not be
    positive semidefinite, and a large ``epsilon`` may make the circuit diverge.

    Weights have a gradient where those of the atoms do; overlaps that are 0 have no edge and none.
    As there are no self-edges, the gradient is that of atoms which keep their unit norm: scale them
    by :func:`normalized_edges` or ``torch.nn.functional.normalize`` before.

    Args:
        atoms: Dictionary on edges, see :func:`atom_edges`.
        epsilon: Size below which overlaps are dropped.

    Returns:
        A graph between units with both directions of every pair and no self-edges, the weights,
        and the largest overlap that was dropped.

    Raises:
        ValueError: A negative ``epsilon``.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import atom_edges, lateral_edges
        >>> atoms = atom_edges(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]))
        >>> lateral_edges(atoms).weight
        tensor([-0.6000, -0.6000])
    """
    if not epsilon >= 0:
        raise ValueError(f"epsilon must be 0 or more. Got {epsilon!r}.")
    weight = atoms.weight.detach()
    matrix = atoms.graph.to_scipy(weight)
    gram = (matrix @ matrix.T).tocoo()
    apart = (gram.row != gram.col) & (gram.data != 0)
    kept = apart & (abs(gram.data) >= epsilon)
    dropped = abs(gram.data[apart & ~kept]).max(initial=0.0)
    ends = torch.stack(
        [torch.from_numpy(ids[kept].astype("int64")) for ids in (gram.col, gram.row)]
    )
    units = atoms.graph.num_columns
    graph = ColumnGraph.from_edge_index(ends, units).to(weight.device)
    if atoms.weight.requires_grad:
        sums = overlap_sums(graph, overlaps(graph, atoms.graph), atoms.weight)
        return WeightedEdges(graph, -sums, float(dropped))
    values = torch.from_numpy(gram.data[kept])[ColumnGraph.edge_order(ends)]
    return WeightedEdges(graph, -values.to(weight), float(dropped))
