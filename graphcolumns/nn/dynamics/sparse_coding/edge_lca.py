"""The locally competitive algorithm on the edges of a graph."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import has_values
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.core.reverse_edges import require_reverse_edges
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.checks import check_signals, check_threshold
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit, half_energy
from graphcolumns.nn.dynamics.sparse_coding.weighted_edges import WeightedEdges
from graphcolumns.nn.edge_linear import EdgeLinear
from graphcolumns.ops import edge_linear


@dataclass(frozen=True, eq=False)
class EdgeLCA(SparseCircuit):
    r"""Sparse codes by inhibition along the edges of a column graph, a unit per column.

    .. math::
        \dot u_i = b_i - u_i + \sum_{j \in \mathcal{N}(i)} w_{ij} T_\lambda(u_j)

    With the weights of :func:`lateral_edges`, minus the Gram matrix on its non-zero entries, this
    is :class:`LCA`, at a cost that grows with edges instead of pairs of units.

    Args:
        lateral: Edges between units and their weights, or a layer that has them, whose edges can
            then be scored and rewired.
        threshold: Threshold :math:`\lambda`, above 0, in units of the input.
        hard: Whether the threshold is hard, see :class:`LCA`.
        nonnegative: Whether codes are non-negative.
        atoms: Edges from inputs to units, see :func:`atom_edges`. None: inputs are the
            correlations b, and energy and gap are not known.
        graph: Graph of the layer, if ``lateral`` is one.
        symmetric: Whether weights must be equal in both directions, as a Gram matrix is. Without,
            units may inhibit each other one-way, as after rewiring; then there is neither energy
            nor gap, and a step limit only where in-weights of each unit sum to less than 1.
        weight: Weights in place of those of ``lateral``, ``[E]``, such as ones computed from atoms.

    Shapes:
        - inputs: ``[M, B, 1]``; without ``atoms`` ``[N, B, C]``, every channel for itself
        - state, output: ``[N, B, 1]``; without ``atoms`` ``[N, B, C]``

    Raises:
        ValueError: A graph that is not square, an edge without its reverse, weights that differ
            between both, a layer without its graph, atoms of other units; when called, inputs of
            another shape or that are not finite.
        TypeError: When called, inputs of another dtype than the weights.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import EdgeLCA, atom_edges, lateral_edges, solve
        >>> atoms = atom_edges(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]))
        >>> circuit = EdgeLCA(lateral_edges(atoms), threshold=0.1, atoms=atoms)
        >>> solve(circuit, torch.tensor([0.6, 0.8, 0.0]).reshape(3, 1, 1)).output.flatten()
        tensor([0.0000, 0.9000])
    """

    lateral: WeightedEdges | EdgeLinear
    threshold: float
    hard: bool = False
    nonnegative: bool = False
    atoms: WeightedEdges | None = None
    graph: ColumnGraph | None = None
    symmetric: bool = True
    weight: Tensor | None = None

    batch_dim = 1

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        if isinstance(self.lateral, EdgeLinear) != (self.graph is not None):
            raise ValueError(
                "graph must be given with an EdgeLinear, and only then. Got lateral="
                f"{type(self.lateral).__name__}, graph={self.graph}."
            )
        graph, weight = self.edges, self._weight
        if weight.dim() != 1:
            raise ValueError(
                "lateral weights must be one per edge, [E]. Got "
                f"{list(weight.shape)}; build EdgeLinear with heads=1."
            )
        if graph.num_columns != graph.num_sources:
            raise ValueError(f"lateral edges must join units with units. Got {graph}.")
        if self.atoms is not None and self.atoms.graph.num_columns != graph.num_columns:
            raise ValueError(
                f"atoms must be those of the units. Expected {graph.num_columns}. Got "
                f"{self.atoms.graph.num_columns}."
            )
        if self.symmetric:
            require_reverse_edges(graph, "build them with lateral_edges, or pass symmetric=False")

    @property
    def edges(self) -> ColumnGraph:
        """The lateral edges."""
        if isinstance(self.lateral, WeightedEdges):
            return self.lateral.graph
        assert self.graph is not None
        return self.graph

    @property
    def _weight(self) -> Tensor:
        return self.lateral.weight if self.weight is None else self.weight

    @property
    def _largest_dropped(self) -> float:
        return self.lateral.largest_dropped if isinstance(self.lateral, WeightedEdges) else 0.0

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, half the energies of the inputs; lateral weights."""
        weight = self._weight
        atoms = self.atoms
        rows = self.edges.num_columns if atoms is None else atoms.graph.num_sources
        fits = inputs.dim() == 3 and inputs.shape[0] == rows
        fits = fits and (atoms is None or inputs.shape[2] == 1)
        width = "C" if atoms is None else "1"
        check_signals(inputs, f"[{rows}, B, {width}], columns first", weight, fits)
        if self.symmetric:
            check_symmetric(self.edges, weight)
        if atoms is None:
            return Drive((inputs, inputs.new_zeros(1, inputs.shape[1])), (weight,))
        b = edge_linear(inputs, atoms.weight, atoms.graph)
        return Drive((b, half_energy(inputs, 1)), (weight,))

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Drive, leak and inhibition along edges.

        A layer records what it sums wherever a gradient is enabled, that is, in the steps that a
        backward pass goes through.
        """
        assert isinstance(state, Tensor)
        a = self.output(state, drive)
        if isinstance(self.lateral, EdgeLinear) and torch.is_grad_enabled():
            weights = {"weight": drive.shared[0]}
            lateral = functional_call(self.lateral, weights, (a, self.edges))
        else:
            lateral = edge_linear(a, drive.shared[0], self.edges)
        return drive.samples[0] - state + lateral

    def gram_product(self, codes: Tensor, drive: Drive) -> Tensor:
        """Codes plus what they inhibit: minus the weights are the Gram matrix off its diagonal."""
        return codes - edge_linear(codes, drive.shared[0], self.edges)

    def energy(self, state: State, drive: Drive) -> Tensor | None:
        """The objective, ``[B]``; None without atoms, or without symmetric weights."""
        known = self.symmetric and self.atoms is not None
        return super().energy(state, drive) if known else None

    def gap(self, state: State, drive: Drive) -> Tensor | None:
        """Duality gap over the objective, ``[B]``.

        None where there is no energy, where overlaps were dropped, and for the hard threshold.
        """
        known = self.symmetric and self.atoms is not None and self._largest_dropped == 0
        return super().gap(state, drive) if known else None

    def dropped_bound(self, state: State, drive: Drive) -> Tensor:
        r"""Bound of the error that dropped overlaps make, ``[B]``.

        The weight :math:`\lambda` of a unit in the optimality conditions changes by at most
        :math:`\epsilon \lVert a \rVert_1`, with the largest overlap that was dropped.
        """
        return self._largest_dropped * self.output(state, drive).abs().sum((0, 2))

    def step_limit(self, drive: Drive) -> float | None:
        r""":math:`2 / \max(1, \lambda_{max}(G))`, or None where no limit is known.

        Without symmetric weights it is :math:`2 / (1 + s)` where the in-weights of every unit sum
        to s < 1 at most. With a hard threshold there is none.
        """
        if self.symmetric or self.hard:
            return super().step_limit(drive)
        weight = drive.shared[0].detach().abs()
        sums = weight.new_zeros(self.edges.num_columns).index_add(0, self.edges.target, weight)
        top = float(sums.max())
        # The map u + dt f(u) contracts in the maximum norm, as a soft threshold does not expand.
        return 2 / (1 + top) if top < 1 else None


def check_symmetric(graph: ColumnGraph, weight: Tensor) -> None:
    """Raises ValueError where the two directions of a pair have different weights."""
    if not has_values(weight):
        return
    values = weight.detach()
    error = (values - values[graph.by_source.permutation]).abs()
    tolerance = 1e-4 if values.dtype.itemsize < 8 else 1e-9
    if bool((error > tolerance).any()) or not bool(values.isfinite().all()):
        worst = int(error.nan_to_num(nan=float("inf")).argmax())
        pair = f"{int(graph.source[worst])} -> {int(graph.target[worst])}"
        raise ValueError(
            "lateral weights must be finite and equal in both directions, as a Gram matrix is "
            f"symmetric. Got a difference of {float(error[worst]):.3g} at {pair}; pass "
            "symmetric=False for weights that are learned one by one."
        )
