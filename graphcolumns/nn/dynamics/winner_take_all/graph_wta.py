"""Winner-take-all in the neighbourhoods of a graph of columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.core.reverse_edges import require_reverse_edges
from graphcolumns.nn.dynamics.winner_take_all.inhibition import (
    InhibitoryCircuit,
    check_nonnegative,
    check_signal,
)
from graphcolumns.ops import edge_linear


@dataclass(frozen=True, eq=False)
class GraphWTA(InhibitoryCircuit):
    r"""Winner-take-all among neighbouring columns of a graph.

    Every column has an inhibitory unit that is driven by the column and its neighbours and inhibits
    them, so edges carry signals both ways. On the edges within a radius of a geometry this is
    :class:`LocalWTA` with a radius in place of a half-width:

    .. math::
        \dot x_i &= -G x_i + f\Bigl(I_i + \alpha x_i
            - \sqrt\beta \sum_{j \in \mathcal{N}(i) \cup i} y_j - T\Bigr) \\
        \dot y_i &= -G y_i
            + f\Bigl(\sqrt\beta \sum_{j \in \mathcal{N}(i) \cup i} x_j - T_N\Bigr)

    Columns have C channels. Either every channel competes with the same channel of
    other columns; or columns compete as a whole (``whole_columns``). Then y is driven by the norms
    :math:`\lVert x_j \rVert`, and inhibition shortens the vector of a column:
    with :math:`v_i = I_i + \alpha x_i` and the inhibition :math:`\theta_i` from y and T,

    .. math::
        \dot x_i = -G x_i + \frac{v_i}{\lVert v_i \rVert} f(\lVert v_i \rVert - \theta_i).

    The norms at its fixed points are those of a circuit with the norms of I as inputs, and every
    active column has the direction of its input.

    Args:
        graph: Edges between columns, each with its reverse; whether columns have edges to
            themselves makes no difference.
        beta: Strength :math:`\beta` of the inhibition through one neighbourhood (default: 1 over
            the largest neighbourhood, the column included).
        whole_columns: Whether columns compete by their norms over channels, instead of channel by
            channel.
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether steps are in Gauss-Seidel order, inhibitory units first.

    Shapes:
        - inputs, output: ``[N, B, C]``
        - state: x ``[N, B, C]``; y the same, or ``[N, B, 1]`` with ``whole_columns``

    Raises:
        ValueError: A graph with edges that have no reverse, a negative or infinite number, or a
            leak that is not positive; when solving, inputs that do not fit.
        TypeError: ``graph`` is not a ColumnGraph.

    Example:
        >>> import torch
        >>> from geometries import grid
        >>> from graphcolumns import connect
        >>> from graphcolumns.nn.dynamics import GraphWTA, solve
        >>> graph = connect.within_radius(grid.sheet(1, 5), 1.0)
        >>> inputs = torch.tensor([0.2, 1.0, 0.3, 0.1, 0.6]).reshape(5, 1, 1)
        >>> rates = solve(GraphWTA(graph, beta=1.0), inputs, tolerance=1e-6).output.flatten()
        >>> rates.round(decimals=3)
        tensor([0.0000, 0.2860, 0.0000, 0.0000, 0.2400])
    """

    graph: ColumnGraph
    beta: float | None = None
    whole_columns: bool = False

    batch_dim = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_reverse_edges(self.graph)
        if self.beta is not None:
            check_nonnegative(beta=self.beta)

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs, "[N, B, C]", 3)
        if inputs.shape[0] != self.graph.num_columns:
            raise ValueError(
                f"inputs must be [N, B, C] with N = {self.graph.num_columns} columns. "
                f"Got {list(inputs.shape)}."
            )

    def ready(self, inputs: Tensor) -> Drive:
        """The inputs; weights of edges ``[E]`` and of columns to themselves ``[N, 1, 1]``."""
        others = self.graph.source != self.graph.target
        root = sqrt(self.neighbourhood_beta)
        weight = root * others.to(inputs)
        own = inputs.new_full((self.graph.num_columns, 1, 1), root)
        return Drive((inputs,), (weight, own))

    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        """Sums over neighbourhoods, of norms or of every channel."""
        size = torch.linalg.vector_norm(x, dim=2, keepdim=True) if self.whole_columns else x
        return self.inhibit(size, drive)

    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        """Sums over neighbourhoods."""
        weight, own = drive.shared
        return edge_linear(y, weight, self.graph) + own * y

    def excitatory_flow(self, x: Tensor, y: Tensor, drive: Drive) -> Tensor:
        """Rate of change of excitatory units."""
        if not self.whole_columns:
            return super().excitatory_flow(x, y, drive)
        v = drive.samples[0] + self.alpha * x
        shorter = torch.relu(column_norms(v) - self.inhibit(y, drive) - self.threshold)
        return v * (shorter / column_norms(v)) - self.leak * x

    def loop(self, drive: Drive) -> tuple[float, float]:
        """From the smallest neighbourhood, and from the largest as a bound of the strongest mode.

        Both count the column itself.
        """
        sizes = self._sizes
        beta = self.neighbourhood_beta
        return beta * int(sizes.min()), beta * int(sizes.max()) ** 2

    @cached_property
    def neighbourhood_beta(self) -> float:
        r"""Strength :math:`\beta` of the inhibition through one neighbourhood."""
        return 1 / int(self._sizes.max()) if self.beta is None else self.beta

    @cached_property
    def _sizes(self) -> Tensor:
        """Columns in every neighbourhood, itself included, ``[N]``."""
        graph = self.graph
        loops = graph.target[graph.source == graph.target].long()
        return graph.in_degree + 1 - torch.bincount(loops, minlength=graph.num_columns)


def column_norms(v: Tensor) -> Tensor:
    """Norms over channels ``[N, B, 1]``, kept from 0 so that directions are defined."""
    tiny = torch.finfo(v.dtype).tiny ** 0.5
    return torch.linalg.vector_norm(v, dim=2, keepdim=True).clamp(min=tiny)
