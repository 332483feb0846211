"""A table of a connectome and its figures, as a folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from graphcolumns.analysis.connectome.figures import (
    adjacency_figure,
    degree_figure,
    distance_rule_figure,
    null_figure,
    save_figure,
)
from graphcolumns.analysis.connectome.table import ConnectomeTable
from graphcolumns.analysis.connectome.table_parts import table_parts
from graphcolumns.checkpoint import write_text
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


def write_connectome(
    folder: str | os.PathLike[str],
    table: ConnectomeTable,
    graph: ColumnGraph,
    weights: Tensor | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
) -> Path:
    """Write ``metrics.csv``, ``metrics.md`` and the figures of a connectome into a new folder.

    Figures, each as PNG, SVG and PDF: ``degrees``; and for each density of the table ``adjacency``,
    ``distance_rule`` if there is a geometry, and ``nulls`` if there are some. The folder has
    another name until it is whole.

    Args:
        folder: Folder to be made; it must not exist.
        table: Table of this connectome, by ``connectome_table``.
        graph: Edges among columns.
        weights: Weight of every edge, ``[E]``, 0 or above.
        geometry: Positions of the columns.
        seed: Seed of the search for communities.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder exists.
    """
    folder = Path(folder).expanduser()
    require_new(folder)
    new = folder.with_name(f"{folder.name}.tmp")
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(parents=True)
    write_text(new / "metrics.csv", table.csv())
    write_text(new / "metrics.md", table.to_markdown())
    save_figure(degree_figure(graph), new, "degrees")
    _save(null_figure(table), new, "nulls-directed")
    densities = {row.density for row in table.rows if row.graph != "directed"}
    for part in table_parts(graph, weights, sorted(densities))[0][1:]:
        name = f"{100 * part.density:.3g}"
        save_figure(adjacency_figure(part.graph, part.weights, seed)[0], new, f"adjacency-{name}")
        _save(null_figure(table, part.density), new, f"nulls-{name}")
        if geometry is not None and any(
            row.metric == "scaled_rate" and row.density == part.density for row in table.rows
        ):
            save_figure(distance_rule_figure(part.graph, geometry), new, f"distance_rule-{name}")
    new.replace(folder)
    return folder


def require_new(folder: Path) -> None:
    """Raise unless a folder can be made.

    Raises:
        FileExistsError: It exists.
    """
    if folder.exists():
        raise FileExistsError(
            f"{folder} must not exist: nothing is overwritten. Choose another folder, or remove it."
        )


def _save(figure: Figure | None, folder: Path, name: str) -> None:
    if figure is not None:
        save_figure(figure, folder, name)
