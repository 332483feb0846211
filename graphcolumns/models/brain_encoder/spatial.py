"""Space times features: every query has a receptive field that does not depend on the image."""

from __future__ import annotations

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.on_edges import Decoder
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.edge_bias import EdgeBias


class SpatialDecoder(Decoder):
    r"""Queries with a learned receptive field, the same for all images.

    .. math::
        T_r = \sum_{p \in \mathcal{N}(r)} \mathrm{softmax}_p(s_{rp})\, x_p

    With a read-out per vertex this is the factorised encoding model, weights of space times weights
    of features. It is attention whose scores do not depend on the image.

    Args:
        edges: Edges from ``M`` tokens to ``N`` queries.
        channels: Channels ``C``.

    Attributes:
        graph: The edges.

    Shapes:
        - input: keys and values, ``[M, B, C]``; keys are not used
        - output: ``[N, B, C]``

    Source: Klindt et al., Neural system identification for large populations separating "what" and
    "where", NeurIPS 2017, https://arxiv.org/abs/1711.02653.
    """

    by_rows = False
    graph: ColumnGraph

    def __init__(self, edges: ColumnGraph, channels: int) -> None:
        super().__init__(edges)
        self.field = ColumnAttention(
            edges.num_columns,
            channels,
            mode="mixing",
            value="input",
            edge_bias=EdgeBias(edges),
            num_sources=edges.num_sources,
        )

    def states(self, prepared: tuple[Tensor, Tensor], rows: slice | None = None) -> Tensor:
        """The states of all queries, ``[N, B, C]``.

        Raises:
            ValueError: Some of the queries are requested; fields are summed in one pass.
        """
        if rows is not None:
            raise ValueError(
                "a receptive field is summed for all queries at once, in memory that does not grow "
                "with edges times samples. Got a part of them; leave chunk=None."
            )
        _, values = prepared
        received: Tensor = self.field(values, self.graph, values)[0]
        return received

    def attention(self, keys: Tensor, values: Tensor, rows: slice | None = None) -> Tensor:
        """The receptive field of every query, ``[N, B, 1, M]``, the same for all samples."""
        mass = self.field.edge_weights(values, self.graph, values)[:, 0]
        dense = mass.new_zeros(self.graph.num_columns, self.graph.num_sources, mass.shape[1])
        dense[self.graph.target.long(), self.graph.source.long()] = mass
        return dense.movedim(1, -1)[rows or slice(None), None].expand(-1, keys.shape[1], -1, -1)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"queries={self.num_queries}"
