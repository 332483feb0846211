"""Whether a model goes on along the new edges after a change."""

from __future__ import annotations

import torch
from torch import nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.recording import evaluating, recorders, recording
from graphcolumns.plasticity.rewiring.rewiring import rewire
from graphcolumns.plasticity.state.newborn import node_mean
from graphcolumns.plasticity.update.trial import changed_copy


@torch.no_grad()
def require_following(model: nn.Module, inputs: Inputs, graph: ColumnGraph) -> None:
    """Raise if a layer computes along the old edges when ``model.graph`` has new ones.

    Tried on a copy without one edge. A model that keeps its edges somewhere else too, an
    ``edge_index`` of its own or a graph in a list, would be scored and never change.

    Args:
        model: Model that records what it computes along the graph.
        inputs: A few samples ``[b, ...]``.
        graph: Graph of the model that would change.

    Raises:
        ValueError: A layer does.
    """
    if not graph.num_edges or not recorders(model):
        return
    if not _attends(model, inputs, graph):  # no record: scores are refused where they are read
        return
    none = torch.empty(0, dtype=torch.int64, device=graph.device)
    last = torch.tensor([graph.num_edges - 1], device=graph.device)
    fewer = changed_copy(model, rewire(graph, last, (none, none)), node_mean)
    if _attends(fewer, inputs, graph):
        raise ValueError(
            "every layer that attends along model.graph must take its new edges. Got "
            f"{type(model).__name__}, of which a layer goes on along the old ones; call its layers "
            "with self.graph (or self.graph.edge_index) at every forward pass, and keep no copy "
            "of the edges that rewired(graph) does not replace."
        )


def _attends(model: nn.Module, inputs: Inputs, graph: ColumnGraph) -> bool:
    with evaluating(model), recording(model) as records:
        model(inputs)
    return any(record.graph.same_graph(graph) for record in records)
