"""``graphcolumns connectome``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from graphcolumns.analysis import Observation, Wiring, observe
from graphcolumns.analysis.connectome import connectome_table, write_connectome
from graphcolumns.analysis.connectome.write import require_new
from graphcolumns.cli.arguments import connectome as parser
from graphcolumns.cli.report import SAMPLES, in_memory
from graphcolumns.cli.run_folder import parts_of
from graphcolumns.data.connectomes import connectome_geometry, load_connectome
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph


class _Measured(NamedTuple):
    """What is measured: a graph, its weights and positions, and what the weights are."""

    graph: ColumnGraph
    weights: Tensor | None
    geometry: Geometry | None
    about: str


def connectome(arguments: list[str]) -> None:
    """Write the metrics of a connectome beside their nulls: ``PATH`` or ``RUN``."""
    args = parser().parse_args(arguments)
    out = args.out or _default_folder(args.path)
    require_new(out)
    found = _of_run(args) if args.path.is_dir() else _of_file(args)
    weights = found.weights.abs() if args.absolute and found.weights is not None else found.weights
    graph, geometry = found.graph, found.geometry
    table = connectome_table(
        graph,
        weights,
        geometry,
        args.densities,
        count=args.nulls,
        seed=args.seed,
        progress=sys.stderr.isatty(),
    )
    print(f"{graph.num_columns} columns, {graph.num_edges} edges; {found.about}.\n")
    print(table.to_markdown())
    folder = write_connectome(out, table, graph, weights, geometry, args.seed)
    print(f"{'connectome':<20}{os.path.relpath(folder)}")


def _default_folder(path: Path) -> Path:
    """``RUN/connectome``, or beside the file: ``STEM-connectome``."""
    return path / "connectome" if path.is_dir() else path.with_name(f"{path.stem}-connectome")


def _of_file(args: argparse.Namespace) -> _Measured:
    found = load_connectome(
        args.path, args.rows, args.undirected, args.weight, args.positions, args.unit
    )
    return _Measured(found.graph, found.weights, connectome_geometry(found), "weights of the file")


def _of_run(args: argparse.Namespace) -> _Measured:
    """A graph of a trained model, in the order of the user's columns."""
    parts = parts_of(args.path)
    device = parts.options.device
    data = in_memory(parts.data, SAMPLES).to(device)
    seen = observe(parts.model.to(device), data, parts.geometry, parts.permutation)
    wiring = _wiring(seen, args.graph)
    weights, about = _weights(wiring)
    return _Measured(wiring.graph, weights, seen.sheet_of(wiring.graph), about)


def _wiring(seen: Observation, name: str | None) -> Wiring:
    """The graph of a name, or the first in which columns receive from each other."""
    square = [w for w in seen.wirings if w.graph.num_columns == w.graph.num_sources]
    if name is None and square:
        return square[0]
    names = ", ".join(repr(wiring.name) for wiring in square) or "none"
    for wiring in square:
        if wiring.name == name:
            return wiring
    given = "no graph" if name is None else repr(name)
    raise ValueError(
        "a connectome is a graph in which columns receive from each other. Of this model these "
        f"are: {names}. Got {given}; pass --graph NAME."
    )


def _weights(wiring: Wiring) -> tuple[Tensor | None, str]:
    """Mean attention where the model attends along the edges, else the size of their weights."""
    if wiring.attention is not None:
        steps = len(wiring.attention)
        return wiring.attention.mean(
            0
        ), f"weights are attention, mean over samples and {steps} steps"
    if wiring.weights is not None:
        return wiring.weights.abs(), "weights are absolute weights of edges"
    return None, "no weights"
