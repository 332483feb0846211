"""A simple recurrent network: one number per column, one weight per edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.options.read_group import read_group
from graphcolumns.nn import EdgeLinear, keep_topology
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.communicability import check_limit
from graphcolumns.nn.edge_costs import WEIGHT_WIRINGS, weight_cost
from graphcolumns.nn.moved import moved
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.wiring import distance_cost

# Share of all pairs from which a product with the whole matrix is faster than a sum along edges:
# 0.25 against 1.3 ms for 100 columns, all pairs and 128 samples, forward and backward, one core.
DENSE = 0.25
STARTS = ("orthogonal", "normal")


@dataclass(frozen=True, kw_only=True)
class WeightCostOptions:
    """What the weights of a recurrent network cost. A frozen value that checks itself.

    Args:
        wiring: Cost of a weight reported by the forward pass, see
            :func:`~graphcolumns.nn.edge_costs.weight_cost`: None, ``"size"``, ``"distance"`` or
            ``"communicability"``.
        power: Exponent of the distance.

    Raises:
        ValueError: An unknown choice, or a power that is not above 0.
    """

    wiring: str | None = None
    power: float = 1.0

    def __post_init__(self) -> None:
        if self.wiring is not None:
            check_choice("wiring", self.wiring, WEIGHT_WIRINGS)
        if not self.power > 0:
            raise ValueError(f"power must be above 0. Got {self.power}.")


class RecurrentNetwork(nn.Module):
    r"""Columns with one value each, driven by a sequence and by each other along edges.

    .. math::
        x_i^{t+1} = \max\Bigl(0,\; b_i + \sum_k v_{ik} u_k^t
        + \sum_{j \in \mathcal{N}(i)} w_{ij} x_j^t\Bigr), \qquad
        y = R^\top x^T + c

    The state starts at 0, every column sees all values :math:`u^t` of a step, and the answer is
    read from all columns after the last one. On a complete graph with self-edges this is the
    recurrent network of the textbooks. Where at least a quarter of all pairs are edges, they are
    multiplied as one matrix.

    Args:
        graph: Edges between the ``N`` columns, with lengths if the cost needs them.
        spec: Spec of a data set, which says the number of values per step; or None.
        num_outputs: Number ``K`` of values of an answer.
        inputs: Number ``I`` of values per step (default: that of ``spec``).
        initial: First weights of edges: entries of an ``"orthogonal"`` matrix, scaled by
            :math:`\sqrt{N / \text{in-degree}}`, or ``"normal"`` ones of variance 1 / in-degree.
        cost: Cost of weights, for the loss term ``wiring``: :class:`WeightCostOptions`, or a
            mapping of its fields.
        geometry: Positions, whose number of columns is compared with that of the graph; or None.

    Attributes:
        graph: Edges between the columns.
        synapses: Layer with the weights of edges, ``weight`` ``[E]``.

    Shapes:
        - input: ``[B, T, I]``, T steps
        - prediction: ``[B, K]``; state ``[N, B, 1]``; states ``[T, N, B, 1]``

    Raises:
        ValueError: An unknown choice, no size of inputs, a graph with other sources than columns
            or without the lengths that the cost needs; when called, inputs of another size.

    Source: the network of Achterberg, Akarca, Strouse, Duncan & Astle, Spatially embedded
        recurrent neural networks reveal widespread links between structural and functional
        neuroscience findings, Nature Machine Intelligence 2023,
        https://doi.org/10.1038/s42256-023-00748-9.
    """

    column_tensors = ("input_weight", "bias", "output_weight")
    no_weight_decay = ("bias", "output_bias")

    def __init__(
        self,
        graph: ColumnGraph,
        spec: Any = None,
        num_outputs: int = 1,
        *,
        inputs: int | None = None,
        initial: Literal["orthogonal", "normal"] = "orthogonal",
        cost: WeightCostOptions | Mapping[str, Any] = WeightCostOptions(),
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__()
        check_choice("initial", initial, STARTS)
        if graph.num_columns != graph.num_sources:
            raise ValueError(f"edges must join columns with columns. Got {graph}.")
        if geometry is not None:
            geometry.require_columns(graph.num_columns)
        self.cost = read_group("cost", cost, WeightCostOptions())
        self.graph, self.synapses = graph, EdgeLinear(graph)
        count, size = graph.num_columns, _inputs(spec, inputs)
        self.input_weight = nn.Parameter(torch.empty(count, size))
        self.bias = nn.Parameter(torch.zeros(count))
        self.output_weight = nn.Parameter(torch.empty(count, num_outputs))
        self.output_bias = nn.Parameter(torch.zeros(num_outputs))
        nn.init.xavier_uniform_(self.input_weight)
        nn.init.xavier_uniform_(self.output_weight)
        if initial == "orthogonal":
            self._start_orthogonal()
        # D_0, frozen on the first graph and kept with the topology: costs stay comparable.
        measured = graph.distance is not None
        self.wiring_norm = distance_cost(graph, self.cost.power)[1] if measured else 1.0
        if self.cost.wiring == "communicability":
            check_limit(count)
        self.weight_cost()  # an edge without length is an error now, not later
        keep_topology(self)

    def forward(self, inputs: Tensor, return_states: bool = False) -> ModelOutput:
        """Runs on sequences ``[B, T, I]``."""
        size = self.input_weight.shape[1]
        if inputs.ndim != 3 or inputs.shape[2] != size or not inputs.shape[1]:
            raise ValueError(
                f"inputs must be [B, T, {size}] with a step or more. Got {list(inputs.shape)}."
            )
        drive = torch.einsum("bti,ni->tnb", inputs, self.input_weight) + self.bias[:, None]
        receive, states = self._receive(), []
        x = torch.zeros_like(drive[0])
        for seen in drive:
            x = torch.relu(seen + receive(x))
            if return_states:
                states.append(x[..., None])
        return ModelOutput(
            x.T @ self.output_weight + self.output_bias,
            x[..., None],
            self.weight_cost(),
            torch.stack(states) if states else None,
        )

    def weight_cost(self) -> Tensor | None:
        """The cost of the in-weights of every column, ``[1, N, 1, 1]``, or None."""
        if self.cost.wiring is None:
            return None
        graph, weight = self.graph, self.synapses.weight
        sums = weight_cost(graph, weight, self.cost.wiring, self.cost.power, self.wiring_norm)
        return sums[None, :, None, None]

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes ``graph`` in place of the current one."""
        self.graph = graph

    def describe(self) -> str:
        """The first sentence of a report."""
        graph = self.graph
        return (
            f"A recurrent network of {graph.num_columns:,} columns with one value each and "
            f"{graph.num_edges:,} weights between them."
        )

    def _receive(self) -> Callable[[Tensor], Tensor]:
        """What columns receive from the state ``[N, B]`` along their in-edges."""
        graph, layer = self.graph, self.synapses
        count = graph.num_columns
        if layer.recorder is not None or graph.num_edges < DENSE * count**2:
            return lambda x: layer(x[..., None], graph)[..., 0]
        ends = graph.target.long(), graph.source.long()
        matrix = layer.weight.new_zeros(count, count).index_put(ends, layer.weight)
        return lambda x: matrix @ x

    @torch.no_grad()
    def _start_orthogonal(self) -> None:
        graph = self.graph
        matrix = nn.init.orthogonal_(torch.empty(graph.num_columns, graph.num_columns))
        scale = (graph.num_columns / graph.in_degree.clamp(min=1).double()).sqrt()
        drawn = matrix[graph.target.long(), graph.source.long()] * scale[graph.target.long()]
        self.synapses.weight.copy_(drawn)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.graph = moved(self.graph, fn)
        return super()._apply(fn, recurse)


def _inputs(spec: Any, inputs: int | None) -> int:
    """The number of values per step."""
    if inputs is not None:
        return inputs
    shape = None if spec is None else spec.inputs[0].shape
    if shape is None or len(shape) != 2:
        raise ValueError(
            "a recurrent network reads sequences: inputs of a sample must be [T, I]. Got "
            f"{shape}; pass inputs=I, or a data set of sequences."
        )
    return int(shape[1])
