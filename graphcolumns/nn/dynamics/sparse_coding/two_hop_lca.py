"""The locally competitive algorithm through error nodes, without a Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.sparse_coding.checks import check_signals, check_threshold
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit, half_energy
from graphcolumns.nn.dynamics.sparse_coding.weighted_edges import WeightedEdges
from graphcolumns.ops import edge_linear


@dataclass(frozen=True, eq=False)
class TwoHopLCA(SparseCircuit):
    r"""LCA whose units inhibit each other through nodes of the input, in two hops.

    Units send their atoms to the nodes of the input, and what the nodes sum up comes back to all
    units: :math:`G a = \Phi (\Phi^\top a)`. The Gram matrix is never built. It costs twice the
    edges of the dictionary per step, which is less than :class:`EdgeLCA` where many atoms share
    each input.

    Args:
        atoms: Edges from inputs to units, see :func:`atom_edges`.
        threshold: Threshold :math:`\lambda`, above 0, in units of the input.
        hard: Whether the threshold is hard, see :class:`LCA`.
        nonnegative: Whether codes are non-negative.

    Shapes:
        - inputs: ``[M, B, 1]``
        - state, output: ``[N, B, 1]``

    Raises:
        ValueError: A threshold that is not positive; when called, inputs of another shape or that
            are not finite.
        TypeError: When called, inputs of another dtype than the weights.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import TwoHopLCA, atom_edges, solve
        >>> atoms = atom_edges(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]))
        >>> circuit = TwoHopLCA(atoms, threshold=0.1)
        >>> solve(circuit, torch.tensor([0.6, 0.8, 0.0]).reshape(3, 1, 1)).output.flatten()
        tensor([0.0000, 0.9000])
    """

    atoms: WeightedEdges
    threshold: float
    hard: bool = False
    nonnegative: bool = False
    # The same edges, from units to inputs.
    back: ColumnGraph = field(init=False, repr=False)

    batch_dim = 1

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        object.__setattr__(self, "back", self.atoms.graph.reverse())

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, half the energies of the inputs; weights, two ways."""
        graph, weight = self.atoms.graph, self.atoms.weight
        rows = graph.num_sources
        fits = inputs.dim() == 3 and inputs.shape[0] == rows and inputs.shape[2] == 1
        check_signals(inputs, f"[{rows}, B, 1], columns first", weight, fits)
        b = edge_linear(inputs, weight, graph)
        return Drive((b, half_energy(inputs, 1)), (weight, weight[graph.by_source.permutation]))

    def gram_product(self, codes: Tensor, drive: Drive) -> Tensor:
        """Units to inputs, and back."""
        weight, reversed_weight = drive.shared
        predicted = edge_linear(codes, reversed_weight, self.back)
        return edge_linear(predicted, weight, self.atoms.graph)
