"""Winner-take-all between columns, with weights per edge that are learned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.winner_take_all.inhibition import InhibitoryCircuit, check_signal
from graphcolumns.nn.edge_linear import EdgeLinear


@dataclass(frozen=True, eq=False)
class EdgeWTA(InhibitoryCircuit):
    r"""Winner-take-all along edges whose weights a layer has, so that they are learned and rewired.

    Every column has an inhibitory unit y. Negative weights inhibit, through the coupling M:

    .. math::
        (M v)_i &= m_i v_i - \sum_{j \in \mathcal{N}(i)} w_{ij} v_j \\
        \dot x &= -G x + f(I + \alpha x - M y - T) \\
        \dot y &= -G y + f(M x - T_N).

    With equal weights on edges in both directions, none of a column to itself, this is
    :class:`GraphWTA`.

    Args:
        lateral: Layer with the weights w, one per edge.
        graph: Edges of the layer.
        own: Coupling :math:`m_i` of a column with its own inhibitory unit, ``[N]``, 0 or more.
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether steps are in Gauss-Seidel order, inhibitory units first.

    Shapes:
        - inputs, output: ``[N, B, C]``
        - state: x and y, ``[N, B, C]`` each

    Raises:
        ValueError: Own couplings of another shape, negative or not finite, a negative or infinite
            number, or a leak that is not positive; when solving, inputs that do not fit.
    """

    lateral: EdgeLinear
    graph: ColumnGraph
    own: Tensor

    batch_dim = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.own.shape == (self.graph.num_columns,)
        if not fits or not bool(((self.own >= 0) & self.own.isfinite()).all()):
            raise ValueError(
                f"own must be [{self.graph.num_columns}], 0 or more and finite. Got "
                f"{list(self.own.shape)}."
            )

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs, "[N, B, C]", 3)
        if inputs.shape[0] != self.graph.num_columns:
            raise ValueError(
                f"inputs must be [N, B, C] with N = {self.graph.num_columns} columns. "
                f"Got {list(inputs.shape)}."
            )

    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        """M x."""
        return self.own.to(x)[:, None, None] * x - self.lateral(x, self.graph)

    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        """M y."""
        return self.excite(y, drive)

    @torch.no_grad()
    def loop(self, drive: Drive) -> tuple[float, float]:
        """From the weakest unit alone, and from the largest sum of couplings as a bound."""
        sums = self.own.to(self.lateral.weight).clone()
        sums.index_add_(0, self.graph.target, self.lateral.weight.abs())
        return float(self.own.min()) ** 2, float(sums.max()) ** 2
