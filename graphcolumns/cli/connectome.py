"""``graphcolumns connectome``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from graphcolumns.analysis import Observation, Wiring, observe
from graphcolumns.analysis.connectome import (
    SideBySide,
    compare_connectomes,
    connectome_table,
    save_figure,
    write_connectome,
)
from graphcolumns.analysis.connectome.side_by_side import COLOURS
from graphcolumns.analysis.connectome.write import require_new
from graphcolumns.cli.arguments import connectome as parser
from graphcolumns.cli.report import SAMPLES, in_memory
from graphcolumns.cli.run_folder import parts_of
from graphcolumns.data.connectomes import (
    Connectome,
    celegans,
    connectome_geometry,
    human_tracts,
    load_connectome,
    mushroom_body,
)
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

# Connectomes of installed packages, see docs/connectome/readers.md.
READERS: dict[str, Callable[[], Connectome]] = {
    "celegans": celegans,
    "mushroom_body": mushroom_body,
    "human_tracts": human_tracts,
}


class _Measured(NamedTuple):
    """What is measured: a graph, its weights and positions, and what the weights are."""

    graph: ColumnGraph
    weights: Tensor | None
    geometry: Geometry | None
    about: str


def connectome(arguments: list[str]) -> None:
    """Write the metrics of connectomes beside their nulls, of several side by side too."""
    args = parser().parse_args(arguments)
    named = _labelled(args.paths)
    out = args.out or _default_folder(named)
    require_new(out)
    found = {name: _signed(args, name, _measured(args, path)) for name, path in named.items()}
    if len(found) == 1:
        _write_one(args, *next(iter(found.items())), out)
    else:
        every = {name: _write_one(args, name, each, out / name) for name, each in found.items()}
        density = sorted(args.densities)[len(args.densities) // 2]
        save_figure(compare_connectomes(every, density), out, "side_by_side")
    print(f"{'connectome':<20}{os.path.relpath(out)}")


def _signed(args: argparse.Namespace, name: str, found: _Measured) -> _Measured:
    """The same with weights that are not negative, absolute ones where that was requested."""
    weights = found.weights
    if weights is None or not (weights < 0).any():
        return found
    if not args.absolute:
        first = int((weights < 0).nonzero()[0])
        raise ValueError(
            f"weights of {name} must be 0 or above. Got {weights[first].item()} at edge {first}; "
            "pass --absolute, or the edges of one sign."
        )
    return found._replace(weights=weights.abs())


def _write_one(args: argparse.Namespace, name: str, found: _Measured, out: Path) -> SideBySide:
    graph, weights, geometry = found.graph, found.weights, found.geometry
    table = connectome_table(
        graph,
        weights,
        geometry,
        args.densities,
        count=args.nulls,
        seed=args.seed,
        progress=sys.stderr.isatty(),
    )
    heading = f"{name}: " if len(args.paths) > 1 else ""
    print(f"{heading}{graph.num_columns} columns, {graph.num_edges} edges; {found.about}.\n")
    print(table.to_markdown())
    write_connectome(out, table, graph, weights, geometry, args.seed)
    return SideBySide(graph, weights, geometry, table)


def _labelled(given: list[str]) -> dict[str, str]:
    """Paths and names by their labels: ``LABEL=PATH``, or the name of the file or folder."""
    if len(given) > len(COLOURS):
        raise ValueError(f"at most {len(COLOURS)} connectomes are compared. Got {len(given)}.")
    found: dict[str, str] = {}
    for each in given:
        label, equals, path = each.partition("=")
        if not equals or "/" in label or Path(each).exists():
            place = Path(each).resolve()
            label, path = place.stem if place.is_file() else place.name, each
        if label in found:
            raise ValueError(
                f"connectomes must have different labels. Got {label!r} for {path}; "
                "pass LABEL=PATH."
            )
        found[label] = path
    return found


def _measured(args: argparse.Namespace, path: str) -> _Measured:
    """A run, a file, or a connectome of an installed package."""
    if not Path(path).exists() and path in READERS:
        found = READERS[path]()
        return _Measured(
            found.graph, found.weights, connectome_geometry(found), f"weights are {found.unit}"
        )
    return _of_run(args, Path(path)) if Path(path).is_dir() else _of_file(args, Path(path))


def _default_folder(named: dict[str, str]) -> Path:
    """``RUN/connectome``, or beside the file: ``STEM-connectome``; of several, ``connectomes``."""
    if len(named) > 1:
        return Path("connectomes")
    path = Path(next(iter(named.values())))
    return path / "connectome" if path.is_dir() else path.with_name(f"{path.stem}-connectome")


def _of_file(args: argparse.Namespace, path: Path) -> _Measured:
    found = load_connectome(
        path, args.rows, args.undirected, args.weight, args.positions, args.unit
    )
    return _Measured(found.graph, found.weights, connectome_geometry(found), "weights of the file")


def _of_run(args: argparse.Namespace, path: Path) -> _Measured:
    """A graph of a trained model, in the order of the user's columns."""
    parts = parts_of(path)
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
