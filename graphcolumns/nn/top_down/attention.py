"""Attention along edges with a pass in each direction, its coefficients frozen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.moved import moved
from graphcolumns.nn.recording.records import AttentionRecord
from graphcolumns.nn.top_down.check_fits import check_fits
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.ops import column_attention, untied_linear
from graphcolumns.ops.column_attention.checks import check_graph

Coefficients = Literal["fixed", "values", "queries"]


class TopDownAttention(WeightedTopDownLayer):
    r"""Attention with a value map per column and frozen coefficients, used in both directions.

    .. math::
        z_i = \sum_{j \in \mathcal{N}(i)} p_{ij} \, h_j V_j + b_i, \qquad
        \bar z_j = \Bigl(\sum_{i : j \in \mathcal{N}(i)} p_{ij} \bar h_i\Bigr) \hat V_j^\top, \qquad
        \Delta V_j = \sum_b h_j^\top \sum_i p_{ij} \bar h_i

    The coefficients :math:`p_{ij} = \mathrm{softmax}_j(q_i^\top k_j / \sqrt D)` come from the
    bottom-up neurons of the source and are constants in everything else: no gradient passes through
    them, in the top-down pass they are those of the bottom-up pass, and queries and keys do not
    learn. With that, Counter-Hebbian learning is exactly backpropagation through the same layer.
    It is not the gradient of attention whose coefficients are differentiated as well. In a pass
    that no bottom-up pass has preceded, such as an instruction pass, coefficients are uniform over
    the in-edges of a column.

    The top-down pass is the backward pass of attention by its values; neither pass takes memory of
    edges times samples. See :class:`WeightedTopDownLayer`.

    Args:
        graph: Edges from M sources to N columns.
        in_channels: Channels of every source.
        out_channels: Channels of every column, over all heads.
        heads: Number of heads ``H``.
        coefficients: Where queries and keys come from: ``"fixed"``, maps per column that are drawn
            once; ``"values"``, both are the values, so that coefficients follow what values learn;
            ``"queries"``, keys from fixed maps and a fixed query per column, for sources that are
            other columns.
        qk_channels: Width ``D`` of fixed queries and keys (default: ``out_channels / heads``).
        bias: Whether channels have a bias.
        feedback: Weights of the top-down pass.
        feedback_noise: Noise on copied weights.

    Attributes:
        weight: Value maps ``V``, ``[M, in_channels, out_channels]``.
        bias: ``[N, out_channels]``, or None.
        query: Fixed map ``[N, in_channels, H D]`` or query ``[N, 1, H, D]``, or None.
        key: Fixed map ``[M, in_channels, H D]``, or None.
        graph: The edges.
        recorder: Called with an :class:`~graphcolumns.nn.recording.AttentionRecord` of every
            bottom-up pass. Normally None; set only while edges are scored or observed.

    Shapes:
        - source: ``[M, B, in_channels]``
        - target: ``[N, B, out_channels]``

    Raises:
        ValueError: Heads that do not divide ``out_channels``, sizes below one, unknown
            ``coefficients``, or some that need sources to be the columns themselves; when called,
            values of another shape, or columns of another graph.
        TypeError: ``graph`` is not a :class:`ColumnGraph`.

    Source: Vaswani et al., Attention is all you need, NeurIPS 2017,
    https://arxiv.org/abs/1706.03762; the two streams: Abel & Ullman, Biologically-Motivated
    Learning Model for Instructed Visual Processing, 2023, https://arxiv.org/abs/2306.02415.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph
        >>> from graphcolumns.nn.top_down import TopDownAttention
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 2], [1, 1, 0]]), 3)
        >>> layer = TopDownAttention(graph, in_channels=2, out_channels=4, heads=2)
        >>> x, counter = torch.randn(3, 5, 2), torch.ones(3, 5, 4)
        >>> layer(x).shape, layer.top_down(counter, x.shape, x).shape
        (torch.Size([3, 5, 4]), torch.Size([3, 5, 2]))
    """

    recorder: Callable[[AttentionRecord], None] | None = None
    query: Tensor | None
    key: Tensor | None

    def __init__(
        self,
        graph: ColumnGraph,
        in_channels: int,
        out_channels: int,
        heads: int = 1,
        coefficients: Coefficients = "fixed",
        qk_channels: int | None = None,
        bias: bool = True,
        feedback: Feedback = "tied",
        feedback_noise: float = 0.0,
    ) -> None:
        super().__init__(feedback, feedback_noise)
        check_graph(graph)
        check_choice("coefficients", coefficients, get_args(Coefficients))
        check_counts(in_channels=in_channels, out_channels=out_channels, heads=heads)
        if out_channels % heads:
            raise ValueError(f"heads must divide out_channels = {out_channels}. Got {heads}.")
        width = out_channels // heads if qk_channels is None else qk_channels
        check_counts(qk_channels=width)
        columns, sources, device = graph.num_columns, graph.num_sources, graph.device
        if coefficients != "queries" and columns != sources:
            raise ValueError(
                f"queries are computed from the source, which must be the columns. Expected "
                f"{columns} sources. Got {sources}; pass coefficients='queries' for other sources."
            )
        self.heads, self.coefficients = heads, coefficients
        shape = (sources, in_channels, out_channels)
        self.weight = nn.Parameter(torch.empty(shape, device=device))
        self.bias = (
            nn.Parameter(torch.empty(columns, out_channels, device=device)) if bias else None
        )
        maps = (sources, in_channels, heads * width)
        queries = (columns, 1, heads, width) if coefficients == "queries" else maps
        fixed = coefficients != "values"
        # Buffers, not parameters: nothing in the rule changes them.
        self.register_buffer("query", torch.empty(queries, device=device) if fixed else None)
        self.register_buffer("key", torch.empty(maps, device=device) if fixed else None)
        self.rewired(graph)
        self.add_feedback()
        keep_topology(self)

    @property
    def column_tensors(self) -> tuple[str, ...]:
        """The parameters and buffers whose first dimension is the columns."""
        own = ("weight", "top_down_weight", "top_down_magnitude", "key")
        return ("bias", "query", *(own if len(self.weight) == self.graph.num_columns else ()))

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes other edges."""
        self.graph = graph

    def reset_parameters(self) -> None:
        """Draws new value maps, and new fixed maps of queries and keys."""
        super().reset_parameters()
        for fixed in (self.query, self.key):
            if fixed is not None:
                fixed.normal_(std=1.0 if fixed.dim() == 4 else fixed.shape[1] ** -0.5)

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """Attention to the values ``x V``, with coefficients from ``x``."""
        check_fits("the source", x, "M, B, Cin", (len(weight), None, weight.shape[1]))
        values = self._split(untied_linear(x, weight))
        q, k = self._query_key(x)
        out, _, lse = column_attention(q, k, values, self.graph)
        if self.recorder is not None:
            self.recorder(AttentionRecord(self.graph, q, k, values, None, None, out, lse))
        return out.flatten(2)

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The transposed map with uniform coefficients."""
        return self.shared_out(counter) @ weight.mT

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass, with the coefficients of the bottom-up pass where there was one."""
        return self.shared_out(counter, x) @ self.feedback_weight.mT

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """``[M, in_channels, out_channels]``."""
        return x.mT @ self.shared_out(counter, x)

    def shared_out(self, counter: Tensor, x: Tensor | None = None) -> Tensor:
        r"""Top-down neurons of the columns shared out among their sources, transposed attention.

        .. math::
            \sum_{i : j \in \mathcal{N}(i)} p_{ij} \bar h_i

        Args:
            counter: Top-down neurons of the target, ``[N, B, out_channels]``.
            x: Bottom-up neurons of the source, ``[M, B, in_channels]``, or None: coefficients are
                uniform.

        Returns:
            ``[M, B, out_channels]``.
        """
        columns, channels = self.graph.num_columns, self.weight.shape[2]
        check_fits("the target", counter, "N, B, Cout", (columns, None, channels))
        shape = (self.graph.num_sources, counter.shape[1], self.heads)
        if x is None:
            k = counter.new_zeros(*shape, 1)
            q = counter.new_zeros(columns, 1, self.heads, 1)
        else:
            q, k = self._query_key(x)
        given = self._split(counter)
        # Attention is linear in its values: its backward pass is the same whatever they are.
        with torch.inference_mode(False), torch.enable_grad():
            q, k, given = (_recorded(x) for x in (q, k, given))
            values = given.new_zeros(*shape, channels // self.heads, requires_grad=True)
            out = column_attention(q, k, values, self.graph).out
        (shared,) = torch.autograd.grad(out, values, given)
        return shared.flatten(2)

    def per_unit(self, values: Tensor) -> Tensor:
        """``[N, Cout]`` to ``[N, 1, Cout]``."""
        return values[:, None]

    @torch.no_grad()
    def draw(self, weight: nn.Parameter) -> None:
        """Uniform in plus or minus the square root of 6 / Cin, for ReLU."""
        bound = (6 / weight.shape[1]) ** 0.5
        weight.uniform_(-bound, bound)

    @torch.no_grad()
    def _query_key(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.key is None:
            values = self._split(untied_linear(x, self.weight))
            return values, values
        assert self.query is not None
        fixed = self.query.dim() == 4
        query = self.query.to(x) if fixed else self._split(untied_linear(x, self.query))
        return query, self._split(untied_linear(x, self.key))

    def _split(self, values: Tensor) -> Tensor:
        return values.unflatten(2, (self.heads, -1))

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"{self.graph}, {self.weight.shape[1]}, {self.weight.shape[2]}, heads={self.heads}, "
            f"coefficients={self.coefficients!r}, feedback={self.feedback!r}"
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graph along with the module."""
        super()._apply(fn, recurse)
        self.graph = moved(self.graph, fn)
        return self


def _recorded(values: Tensor) -> Tensor:
    """Values that a backward pass can keep: copies of those of inference mode."""
    return values.clone() if values.is_inference() else values
