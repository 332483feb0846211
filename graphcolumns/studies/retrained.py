"""Is a learned graph good as such? Its edges, and three nulls of them, trained from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphcolumns.analysis.connectome import edge_density
from graphcolumns.analysis.connectome.nulls import (
    NullDraw,
    draw_by_distance,
    rewire_degrees,
    rewire_within_lengths,
)
from graphcolumns.random.counter import derive
from graphcolumns.studies.study_run import StudyRun

NULLS: Mapping[str, Callable[..., NullDraw]] = {
    "degrees": rewire_degrees,
    "lengths": rewire_within_lengths,
    "distance": draw_by_distance,
}


def retrained_nulls(run: StudyRun, max_density: float = 1.0, seed: int = 0) -> dict[str, float]:
    """Test accuracy of the same model trained from scratch on the last edges and on nulls of them.

    All begin with the initial weights of the run and see its samples in its order, so that they
    differ in their edges alone. A run whose edges did not change is left out: trained again it
    would be itself.

    Args:
        run: Trained run.
        max_density: Largest density, self-edges not counted; denser graphs are left out.
        seed: Seed of the nulls.

    Returns:
        ``retrained_accuracy`` of the last edges as they are; ``degrees_accuracy``: rewired, with
        the in- and out-degree of every column; ``lengths_accuracy``: that, and the lengths of
        edges kept to the bin; ``distance_accuracy``: drawn by an exponential rule of distance with
        the same number of edges and mean length. Empty if the run is left out.

    Source: the controls of Dhiman, Topological sensitivity in connectome-constrained neural
    networks, 2026, https://arxiv.org/abs/2604.04033.
    """
    if edge_density(run.graph) > max_density or run.graph.same_topology(run.initial_graph):
        return {}
    graphs = {"retrained": run.graph}
    for name, null in NULLS.items():
        draw = null(run.graph, geometry=run.geometry, seed=derive(seed, f"null {name}"))
        graphs[name] = draw.graph
    return {
        f"{name}_accuracy": float(run.retrain(graph).summary["test_accuracy"])
        for name, graph in graphs.items()
    }
