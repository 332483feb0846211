"""Lateral inhibition between the columns of a sheet, as a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.full_precision import widened
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.checks import check_threshold
from graphcolumns.nn.dynamics.sparse_coding.edge_lca import EdgeLCA
from graphcolumns.nn.dynamics.winner_take_all.edge_wta import EdgeWTA
from graphcolumns.nn.edge_linear import EdgeLinear
from graphcolumns.nn.moved import moved
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.ops.column_attention.checks import check_graph
from graphcolumns.ops.context import as_given

COMPETITIONS = ("column", "channel")
CIRCUITS = ("lca", "wta")


class ColumnDynamics(nn.Module):
    r"""Columns inhibit each other along lateral edges, and weak ones fall silent.

    A few Euler steps of a locally competitive circuit (``circuit="lca"``), started at the input b:

    .. math::
        u \leftarrow u + dt \, \Big( b_i - u_i + \sum_{j \in \mathcal{N}(i)} w_{ij} T_\lambda(u_j)
        \Big), \qquad a = T_\lambda(u)

    With ``competition="column"`` the circuit runs on the activity of every column, the root mean
    square of its channels :math:`b_i = (\lVert x_i \rVert^2 / C)^{1/2}`, and the state becomes
    :math:`x_i a_i / b_i`: a column keeps its direction, and is silent as a whole. With
    ``"channel"`` it runs on every channel on its own, with a threshold on both sides of zero.

    With ``circuit="wta"`` the steps are those of a winner-take-all circuit, :class:`.EdgeWTA`, with
    the threshold :math:`\lambda`, self-excitation :math:`\alpha` and an inhibitory unit per column
    that starts silent. The result is what excites a column after the last step, 0 where it is
    silent. Channels compete by their absolute values and keep their signs.

    Weights are learned and may have either sign; negative ones inhibit. They live on a graph of
    their own, so that lateral edges are pruned and grown by a rule of their own: scores of edges
    see a linear layer, whose insertion at weight zero is exact.

    Args:
        graph: Lateral edges; given a name of its own, ``graph.named("lateral")``, if its edges
            may be those of another graph of the model.
        threshold: Threshold :math:`\lambda`, above 0, in units of the state.
        competition: ``"column"`` or ``"channel"``.
        steps: Number of Euler steps.
        dt: Time step, above 0; below 2 without lateral weights.
        strength: Inhibition at the start: the weights of the in-edges of every column sum to minus
            this; with ``"wta"``, together with its coupling to its own inhibitory unit.
        circuit: ``"lca"`` or ``"wta"``.
        excitation: Self-excitation :math:`\alpha` of the winner-take-all circuit, in [0, 1).

    Shapes:
        - input, output: ``[N, B, C]``

    Raises:
        ValueError: An unknown competition or circuit, a number out of its range, or a graph whose
            sources are not its columns; when called, a state of other columns.
        TypeError: ``graph`` is not a :class:`ColumnGraph`.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn.dynamics import ColumnDynamics
        >>> pair = ColumnGraph.from_edge_index(torch.tensor([[0, 1], [1, 0]]), 2)
        >>> layer = ColumnDynamics(pair, threshold=0.5, steps=20, strength=1.0)
        >>> layer(torch.tensor([2.0, 1.0]).reshape(2, 1, 1)).flatten()
        tensor([1.5000, 0.0000], grad_fn=<ViewBackward0>)

    Source: Rozell, Johnson, Baraniuk & Olshausen, Sparse coding via thresholding and local
    competition in neural circuits, Neural Computation 2008,
    https://doi.org/10.1162/neco.2008.03-07-486.
    """

    def __init__(
        self,
        graph: ColumnGraph,
        threshold: float,
        competition: str = "column",
        steps: int = 3,
        dt: float = 0.5,
        strength: float = 0.5,
        circuit: str = "lca",
        excitation: float = 0.5,
    ) -> None:
        super().__init__()
        check_graph(graph)
        check_threshold(threshold)
        check_choice("competition", competition, COMPETITIONS)
        check_choice("circuit", circuit, CIRCUITS)
        check_excitation(excitation)
        check_counts(steps=steps)
        check_step(dt, strength)
        if graph.num_columns != graph.num_sources:
            raise ValueError(f"lateral edges must join columns with columns. Got {graph}.")
        self.graph = graph
        self.threshold, self.competition = threshold, competition
        self.steps, self.dt, self.strength = steps, dt, strength
        self.circuit, self.excitation = circuit, excitation
        self.lateral = EdgeLinear(graph)
        self.reset_parameters()
        keep_topology(self)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Equal weights for the in-edges of every column, which sum to minus the strength."""
        weight = self.lateral.weight
        degree = self.graph.in_degree.index_select(0, self.graph.target).to(weight)
        weight.copy_(-self.strength / (degree + (self.circuit == "wta")))

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other lateral edges, after tensors per edge were carried."""
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """The state after the competition, in the dtype of ``x``; autocast is off inside."""
        with as_given(x):
            return self._after(widened(x, self.lateral.weight)).to(x.dtype)

    def _after(self, x: Tensor) -> Tensor:
        whole = self.competition == "column"
        if not whole and self.circuit == "lca":
            return self._competed(x)
        tiny = torch.finfo(x.dtype).tiny
        square = x.square().mean(-1, keepdim=True) if whole else x.square()
        # Not zero, where the root has no gradient.
        activity = (square + tiny).sqrt()
        return x * (self._competed(activity) / activity)

    def _competed(self, b: Tensor) -> Tensor:
        return self._winner_take_all(b) if self.circuit == "wta" else self._locally_competitive(b)

    def _locally_competitive(self, b: Tensor) -> Tensor:
        circuit = EdgeLCA(
            self.lateral,
            self.threshold,
            nonnegative=self.competition == "column",
            graph=self.graph,
            symmetric=False,
        )
        drive = circuit.drive(b)
        return circuit.output(self._stepped(circuit, drive, b), drive)

    def _winner_take_all(self, b: Tensor) -> Tensor:
        own = self.strength / (1 + self.graph.in_degree.to(self.lateral.weight))
        circuit = EdgeWTA(
            self.lateral, self.graph, own, alpha=self.excitation, threshold=self.threshold
        )
        drive = circuit.drive(b)
        x, y = self._stepped(circuit, drive, (b, torch.zeros_like(b)))
        # What excites a column now: its rate decays towards it, and would never be zero.
        return x + circuit.excitatory_flow(x, y, drive)

    def _stepped(self, circuit: Circuit, drive: Drive, state: State) -> State:
        for _ in range(self.steps):
            state = circuit.step(state, drive, self.dt)
        return state

    def extra_repr(self) -> str:
        """The numbers of the circuit."""
        return (
            f"circuit={self.circuit!r}, threshold={self.threshold}, "
            f"competition={self.competition!r}, steps={self.steps}, dt={self.dt}"
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graph along with the module."""
        self.graph = moved(self.graph, fn)
        return super()._apply(fn, recurse)


def check_step(dt: float, strength: float) -> None:
    """Raises ValueError for a time step or a strength out of its range."""
    if not 0 < dt < 2:
        raise ValueError(f"dt must be above 0 and below 2. Got {dt!r}.")
    if not 0 <= strength < float("inf"):
        raise ValueError(f"strength must be 0 or more. Got {strength!r}.")


def check_excitation(excitation: float) -> None:
    """Raises ValueError for a self-excitation outside [0, 1)."""
    if not 0 <= excitation < 1:
        raise ValueError(f"excitation must be in [0, 1). Got {excitation!r}.")
