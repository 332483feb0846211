"""A table of metrics, each beside what it is on the graphs of a null."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from graphcolumns.analysis.connectome.nulls import NullValues
from graphcolumns.checkpoint import write_text
from graphcolumns.checkpoint.disk import place_for

# Metrics by name, and what they are called in tables.
TITLES = {
    "density": "density",
    "mean_degree": "mean degree",
    "reciprocity": "reciprocity",
    "sd_log_weight": "sd of ln w",
    "trophic_incoherence": "trophic incoherence F0",
    "component_share": "share in the largest component",
    "clustering": "clustering",
    "path_length": "path length",
    "modularity": "modularity Q",
    "propensity": "small-world propensity",
    "omega": "small-world omega",
    "rich_club": "largest rich-club ratio",
    "communicability": "mean communicability",
    "mean_length": "mean length",
    "wiring_ratio": "wiring ratio",
    "economy": "wiring economy",
    "scaled_rate": "lambda <d>",
    "aic_power": "AIC, power - exponential",
    "aic_gaussian": "AIC, Gaussian - exponential",
}


class MetricRow(NamedTuple):
    """One metric of one graph, beside one null.

    Args:
        graph: ``"directed"``, or ``"strongest"`` pairs.
        density: Share of the pairs that is kept, or share of the edges that is there.
        metric: Name of the metric.
        value: Value of the metric; NaN where it is not defined.
        unit: Unit of the value; "" without one.
        null: Name of the null; "" where none applies.
        null_mean: Mean on the null graphs; NaN without.
        null_sd: Standard deviation on the null graphs; NaN without.
        z: ``(value - null_mean) / null_sd``; NaN without, and where the null is constant.
        p: Two-sided probability of a value as extreme; NaN without, and where z is exact.
        draws: Number of null graphs; 0 where mean and standard deviation are exact.
    """

    graph: str
    density: float
    metric: str
    value: float
    unit: str = ""
    null: str = ""
    null_mean: float = math.nan
    null_sd: float = math.nan
    z: float = math.nan
    p: float = math.nan
    draws: int = 0


@dataclass(frozen=True, eq=False)
class ConnectomeTable:
    """Metrics of a connectome at several densities, with nulls.

    Args:
        rows: A row per graph, metric and null.
        notes: What was left out and why, one sentence each.
        null_values: Values on the null graphs by (density, metric, null); the density is NaN for
            the directed graph.
    """

    rows: tuple[MetricRow, ...]
    notes: tuple[str, ...] = ()
    null_values: Mapping[tuple[float, str, str], NullValues] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"ConnectomeTable({len(self.rows)} rows)"

    def row(self, metric: str, density: float | None = None, null: str | None = None) -> MetricRow:
        """One row of the table.

        Args:
            metric: Name of a metric.
            density: Density of the strongest pairs; None for the directed graph.
            null: Name of a null (default: the first).

        Raises:
            ValueError: There is no such row.
        """
        of_graph = [
            row
            for row in self.rows
            if (row.graph == "directed" if density is None else row.graph != "directed")
            and (density is None or math.isclose(row.density, density))
        ]
        fitting = [row for row in of_graph if row.metric == metric]
        fitting = [row for row in fitting if null is None or row.null == null]
        if not fitting:
            names = ", ".join(dict.fromkeys(row.metric for row in of_graph)) or "none"
            where = "of the directed graph" if density is None else f"at a density of {density}"
            raise ValueError(
                f"the table must have a row of {metric!r}{f' and {null!r}' if null else ''} "
                f"{where}. Got {names}."
            )
        return fitting[0]

    def to_markdown(self) -> str:
        """The table as markdown: a block per graph, and the notes below."""
        head = ["graph", "metric", "value", "null", "null mean", "null sd", "z", "p"]
        lines = [head, ["---", "---", "---:", "---", "---:", "---:", "---:", "---:"]]
        before = ("", "")
        for row in self.rows:
            about = (_graph_name(row), _title(row))
            lines.append(
                [
                    about[0] if about[0] != before[0] else "",
                    about[1] if about != before else "",
                    _shown(row.value) if about != before else "",
                    row.null or "-",
                    *map(_shown, (row.null_mean, row.null_sd, row.z, row.p)),
                ]
            )
            before = about
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
        return text + "".join(f"\n{note}\n" for note in self.notes)

    def csv(self) -> str:
        """The table as CSV at full precision, empty where a number is not defined."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(MetricRow._fields)
        for row in self.rows:
            writer.writerow(["" if cell != cell else cell for cell in row])
        return text.getvalue()

    def to_csv(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write ``csv()``, to a temporary name first: the file is whole or absent.

        Args:
            path: File; its folder must exist.
            overwrite: Whether a file of that name is replaced.

        Returns:
            The path.

        Raises:
            FileExistsError: There is such a file, and it is not to be replaced.
        """
        place = place_for(path, overwrite)
        write_text(place, self.csv())
        return place


def _graph_name(row: MetricRow) -> str:
    return "directed" if row.graph == "directed" else f"strongest {100 * row.density:.3g} %"


def _title(row: MetricRow) -> str:
    return TITLES.get(row.metric, row.metric) + (f" ({row.unit})" if row.unit else "")


def _shown(value: float) -> str:
    return "-" if value != value else f"{value:.3g}"
