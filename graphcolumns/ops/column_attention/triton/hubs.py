"""Which graphs have their long rows cut into segments.

A hub, a column of very many in-edges or a source of very many out-edges, would be done by few
programs long after all others are through. Only graphs that have one take another path, for the
pass that meets it: :attr:`graphcolumns.ColumnGraph.hubs`.
"""

from __future__ import annotations

from typing import NamedTuple

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import LONG_ROW
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    AttentionOutputs,
    InputGradients,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.column_attention.triton import backend as kernels


class Cut(NamedTuple):
    """The Triton kernels on rows of so many edges at most; None: however long they are."""

    columns: int | None
    sources: int | None

    def forward(self, inputs: AttentionInputs) -> AttentionOutputs:
        """See :func:`~graphcolumns.ops.column_attention.triton.backend.forward`."""
        return kernels.forward(inputs, longest=self.columns)

    def backward(
        self, arrived: OutputGradients, inputs: AttentionInputs, saved: SavedOutputs
    ) -> InputGradients:
        """See :func:`~graphcolumns.ops.column_attention.triton.backend.backward`."""
        longest = (self.columns, self.sources)
        return kernels.backward(arrived, inputs, saved, longest=longest)


# Names that only the registered op knows.
CUTS = {
    "triton, hubs among columns": Cut(LONG_ROW, None),
    "triton, hubs among sources": Cut(None, LONG_ROW),
    "triton, hubs": Cut(LONG_ROW, LONG_ROW),
}
_NAMES = dict(zip([(True, False), (False, True), (True, True)], CUTS, strict=True))


def for_graph(graph: ColumnGraph) -> str:
    """``triton``, or what takes its place on this graph."""
    return _NAMES.get(graph.hubs, "triton")
