"""The edges of a run beside what geometry alone would give: wire, communities, clustering."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphcolumns.analysis.connectome import connectome_table
from graphcolumns.analysis.connectome.nulls import NullDraw, draw_by_distance, rewire_degrees
from graphcolumns.studies.study_run import StudyRun

NULLS: Mapping[str, Callable[..., NullDraw]] = {
    "distance": draw_by_distance,
    "degrees": rewire_degrees,
}
VALUES = ("reciprocity", "wiring_ratio", "economy", "scaled_rate", "modularity", "clustering")


def wire_and_modules(run: StudyRun, count: int = 5, seed: int = 0) -> dict[str, float]:
    r"""Wire of the last edges, and modularity and clustering in excess of two nulls.

    All but reciprocity are those of the pairs that an edge joins in any direction, without
    weights, as connectomes of brains are measured. The excess is :math:`v - \bar v_0` with the mean
    :math:`\bar v_0` over null graphs: ``distance`` keeps the number of pairs and their mean length,
    by an exponential rule, and ``degrees`` the number of neighbours of every column.

    Args:
        run: Trained run.
        count: Number of graphs per null, 2 or more.
        seed: Seed of nulls and communities.

    Returns:
        ``pair_density`` (a share), ``reciprocity``, ``wiring_ratio``, ``economy``, ``scaled_rate``
        (:math:`\lambda \langle d \rangle`), ``modularity``, ``clustering``, and of the last two
        ``_over_distance`` and ``_over_degrees``.

    Raises:
        ValueError: A single null graph, or no edge between two columns.
    """
    table = connectome_table(run.graph, None, run.geometry, nulls=NULLS, count=count, seed=seed)
    rows = {(row.metric, row.null): row for row in table.rows}
    found = {row.metric: row.value for row in table.rows}
    values = {"pair_density": rows["modularity", "distance"].density}
    values |= {name: found[name] for name in VALUES if name in found}
    for name in ("modularity", "clustering"):
        for null in NULLS:
            values[f"{name}_over_{null}"] = found[name] - rows[name, null].null_mean
    return values
