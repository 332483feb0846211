"""A graph of winner-take-all circuits that excite each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import has_values
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.winner_take_all.inhibition import (
    InhibitoryCircuit,
    check_nonnegative,
    check_signal,
)
from graphcolumns.nn.dynamics.winner_take_all.regime import Regime, step_limit_of
from graphcolumns.ops import edge_linear
from graphcolumns.ops.column_attention.checks import check_graph


@dataclass(frozen=True, eq=False)
class WTANetwork(InhibitoryCircuit):
    r"""Columns that are winner-take-all circuits over their channels and excite each other.

    .. math::
        \dot x_{ic} &= -G x_{ic} + f\Bigl(I_{ic} + \alpha x_{ic}
            + \sum_{j \in \mathcal{N}(i)} w_{ij} x_{jc} - \beta_1 y_i - T\Bigr) \\
        \dot y_i &= -G y_i + f(\beta_2 \textstyle\sum_c x_{ic} - T_N)

    Coupled columns that have the same winner act like one circuit with more self-excitation,
    :math:`\alpha + \rho` with the largest eigenvalue :math:`\rho` of the weights. The regime is
    that of the bound of :math:`\rho` by the largest mean of the in-weights and the out-weights of a
    column. Where it is soft, the network contracts; where it has single winners, rates at a fixed
    point with one winner per column are at most
    :math:`(I_{max} + \beta_1 T_N) / (1 + \beta - \alpha - \rho_{in})`, with the largest sum
    :math:`\rho_{in}` of in-weights and leak 1.

    Args:
        graph: Edges between columns; columns receive from their sources.
        weight: Weights of edges, 0 or more, ``[E]`` or one for each channel ``[E, C]``; or one
            number for all.
        beta1: Weight :math:`\beta_1` from inhibitory units.
        beta2: Weight :math:`\beta_2` to inhibitory units.
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        threshold: Threshold T of excitatory units, in units of the input.
        inhibitory_threshold: Threshold :math:`T_N` of inhibitory units.
        leak: Leak G, above 0.
        sequential: Whether steps are in Gauss-Seidel order, inhibitory units first.

    Shapes:
        - inputs, output: ``[N, B, C]``
        - state: x ``[N, B, C]`` and y ``[N, B, 1]``

    Raises:
        ValueError: Weights that are negative, not finite or of another number of edges, other
            sources than the columns, a negative number, or a leak that is not positive; when
            solving, inputs that do not fit.
        TypeError: ``graph`` is not a ColumnGraph.

    Source: Rutishauser, Douglas & Slotine, Collective stability of networks of winner-take-all
    circuits, Neural Computation 2011, https://doi.org/10.1162/NECO_a_00091.

    Example:
        >>> import torch
        >>> from geometries import grid
        >>> from graphcolumns import connect
        >>> from graphcolumns.nn.dynamics import WTANetwork, solve
        >>> graph = connect.within_radius(grid.sheet(1, 3), 1.0, self_loops=False)
        >>> seen = torch.tensor([[1.0, 0.2], [0.4, 0.5], [0.9, 0.1]])[:, None]
        >>> alone = solve(WTANetwork(graph, 0.0, alpha=1.1), seen).output
        >>> coupled = solve(WTANetwork(graph, 0.2, alpha=1.1), seen).output
        >>> alone.argmax(2).flatten().tolist(), coupled.argmax(2).flatten().tolist()
        ([0, 1, 0], [0, 0, 0])
    """

    graph: ColumnGraph
    weight: Tensor | float
    beta1: float = 1.0
    beta2: float = 1.0
    coupling: float = field(init=False, repr=False, default=0.0)

    batch_dim = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_graph(self.graph)
        check_nonnegative(beta1=self.beta1, beta2=self.beta2)
        if self.graph.num_sources != self.graph.num_columns:
            raise ValueError(
                "columns must receive from each other. Expected as many sources as columns. Got "
                f"{self.graph.num_sources} sources and {self.graph.num_columns} columns."
            )
        object.__setattr__(self, "coupling", self._coupling())

    def _coupling(self) -> float:
        """Bound of the largest eigenvalue of the weights, 0 without edges or in a trace."""
        graph, weight = self.graph, self._weights(torch.float64)
        if weight.dim() not in (1, 2) or weight.shape[0] != graph.num_edges:
            raise ValueError(
                f"weight must be [E] or [E, C] with E = {graph.num_edges} edges. Got "
                f"{list(weight.shape)}."
            )
        if graph.num_edges == 0 or not has_values(weight):
            return 0.0
        if not bool((weight.isfinite() & (weight >= 0)).all()):
            raise ValueError(
                "coupling between columns must be excitatory. Expected finite weights of 0 or "
                f"more. Got {float(weight.nan_to_num(nan=float('-inf')).min()):.6g}."
            )
        rows = weight.reshape(graph.num_edges, -1)
        sums = rows.new_zeros(graph.num_columns, rows.shape[1])
        both = sums.index_add(0, graph.target.long(), rows)
        return float(both.index_add(0, graph.source.long(), rows).max()) / 2

    def _weights(self, dtype: torch.dtype) -> Tensor:
        """Weights of edges as a tensor."""
        if isinstance(self.weight, Tensor):
            return self.weight.detach().to(dtype)
        device, count = self.graph.device, self.graph.num_edges
        return torch.full((count,), self.weight, dtype=dtype, device=device)

    def check_inputs(self, inputs: Tensor) -> None:
        """Raises ValueError or TypeError for inputs that do not fit."""
        check_signal(inputs, "[N, B, C]", 3)
        if inputs.shape[0] != self.graph.num_columns:
            raise ValueError(
                f"inputs must be [N, B, C] with N = {self.graph.num_columns} columns. "
                f"Got {list(inputs.shape)}."
            )

    def ready(self, inputs: Tensor) -> Drive:
        """The inputs, and the weights of edges."""
        given = isinstance(self.weight, Tensor)
        weight = self.weight if given else self._weights(inputs.dtype)
        assert isinstance(weight, Tensor)
        return Drive((inputs,), (weight,))

    def excite(self, x: Tensor, drive: Drive) -> Tensor:
        r""":math:`\beta_2 \sum_c x_c`."""
        return self.beta2 * x.sum(2, keepdim=True)

    def inhibit(self, y: Tensor, drive: Drive) -> Tensor:
        r""":math:`\beta_1 y`."""
        return self.beta1 * y

    def excitatory_flow(self, x: Tensor, y: Tensor, drive: Drive) -> Tensor:
        """Rate of change of excitatory units, with the excitation along edges."""
        total = drive.samples[0] + edge_linear(x, drive.shared[0], self.graph)
        return super().excitatory_flow(x, y, drive._replace(samples=(total,)))

    def loop(self, drive: Drive) -> tuple[float, float]:
        r""":math:`\beta_1 \beta_2` for one unit, times their number for a column."""
        beta = self.beta1 * self.beta2
        return beta, beta * drive.samples[0].shape[2]

    @property
    def excitation(self) -> float:
        r"""Self-excitation and coupling together, :math:`\alpha + \rho`."""
        return self.alpha + self.coupling

    def step_limit(self, drive: Drive) -> float | None:
        """The limit for symmetric weights, at fixed points; None where the regime has none."""
        if self.regime(drive) in (Regime.LIMIT_CYCLE, Regime.UNBOUNDED):
            return None
        strength = self.loop(drive)[1] / self.leak**2
        ends = (self.excitation, self.alpha - self.coupling)
        limits = [step_limit_of(a / self.leak, strength, self.sequential) for a in ends]
        return min(limits) / self.leak
