"""Whether the graphs of a model differ in their edges or their names."""

from __future__ import annotations

from itertools import combinations

from torch import nn

from graphcolumns.nn.per_edge import held_graphs
from graphcolumns.nn.protocols import graphs_of


def require_different_graphs(model: nn.Module) -> None:
    """Raise unless every value per edge of a model belongs to one of its graphs.

    Args:
        model: Model whose graphs, or some of them, are to be rewired.

    Raises:
        ValueError: Two graphs have the same edges and the same name, or a layer was built on the
            edges of a graph under another name.
        TypeError: As :func:`~graphcolumns.nn.protocols.graphs_of`.
    """
    graphs = graphs_of(model)
    for (one, graph), (other, alike) in combinations(graphs.items(), 2):
        if graph.same_graph(alike):
            raise ValueError(
                "graphs of a model that is rewired must differ in their edges or in their names: "
                f"values per edge know their graph by both. Got {one!r} and {other!r} with the "
                f"same {graph.num_edges} edges and the name {graph.name!r}; name them, {one} = "
                f"graph.named({one!r}) and {other} = graph.named({other!r}), and build each layer "
                "on its own."
            )
    held = [*graphs.values(), *(g for part in model.modules() for g in held_graphs(part).values())]
    known = {(graph.fingerprint, graph.name) for graph in held}
    for path, part in model.named_modules():
        edges, name = getattr(part, "edges_of", ""), getattr(part, "edges_named", "")
        same = [one for one, graph in graphs.items() if edges and graph.fingerprint == edges]
        if same and (edges, name) not in known:
            raise ValueError(
                "a layer with values per edge must be built on a graph of its model. Got "
                f"{path or 'the model'} ({type(part).__name__}) on the edges of {same[0]!r} under "
                f"the name {name!r}, where the model has {graphs[same[0]].name!r}; build it on "
                f"model.graphs[{same[0]!r}]."
            )
