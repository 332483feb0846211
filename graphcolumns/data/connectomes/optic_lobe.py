"""The optic lobe of the fruit fly, column by column, from an installed flyvis."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from graphcolumns.data.connectomes.connectome import Connectome
from graphcolumns.geometry.installed_files import installed_file
from graphcolumns.graph import ColumnGraph

FLYVIS = "flyvis==1.2.0"
LAPPALAINEN = (
    "Lappalainen et al., Connectome-constrained networks predict neural activity across the fly "
    "visual system, Nature 634 (2024), https://doi.org/10.1038/s41586-024-07939-3"
)
Ids = NDArray[np.int64]


def optic_lobe(radius: int = 3, types: Sequence[str] | None = None) -> Connectome:
    """Neurons of the optic lobe of Drosophila on a hexagonal patch of columns.

    The file is that of an installed flyvis, which is not imported:
    ``pip install --no-deps flyvis==1.2.0`` (0.4 MB). It has 65 types of neurons and, for 605 pairs
    of types, the mean number of synapses from a source to a target whose column is ``(du, dv)``
    further. Here every neuron is a column of the graph: of each type one at every place (u, v)
    of a hexagonal lattice up to ``radius`` steps from the middle; two types, Lawf1 and Lawf2, are
    in every third u and every second v alone. Edges beyond the rim are left out. Radius 0 has 65
    neurons; radius 15 has 45,669 in 721 places, as the model of the publication.

    Edges of the graph are those of the file; flyvis itself adds a synapse in the gaps of each
    filter. Names are like ``"T4a(0,-1)"``. ``attributes`` has ``"type"``, ``"u"``, ``"v"`` and
    ``"role"`` (``"input"``, ``"intermediate"``, ``"output"``); ``edge_attributes`` has ``"sign"``,
    1 excitatory, -1 inhibitory. ``graph.distance`` is the distance between the columns in the plane
    in units of their spacing, 0 within a column.

    The code of flyvis is under the MIT licence; the terms of the data are those of the
    publications, which have to be cited.

    Args:
        radius: Radius of the patch, in columns.
        types: Types of neurons to keep, in this order (default: all 65, in the order of the file).

    Raises:
        ImportError: flyvis is not installed, or its file is another.
        ValueError: A negative radius, an unknown type, or one that comes twice.

    Source: Lappalainen et al., Connectome-constrained networks predict neural activity across the
        fly visual system, Nature 634 (2024), https://doi.org/10.1038/s41586-024-07939-3.
    """
    if radius < 0:
        raise ValueError(f"radius must be 0 or more. Got {radius}.")
    lobe = _read()
    kept = _kept(lobe, types)
    population, u, v = _neurons([lobe["nodes"][place] for place in kept], radius)
    target, source, count, sign = _edges(lobe, kept, population, u, v, radius)
    edge_index = torch.from_numpy(np.stack([source, target]))
    order = ColumnGraph.edge_order(edge_index)
    du, dv = u[target] - u[source], v[target] - v[source]
    length = torch.from_numpy(np.sqrt(du**2 + dv**2 + du * dv))
    names = [lobe["nodes"][kept[place]]["name"] for place in population]
    return Connectome(
        ColumnGraph.from_edge_index(edge_index, len(population), distance=length),
        torch.from_numpy(count)[order],
        tuple(f"{name}({a},{b})" for name, a, b in zip(names, u, v, strict=True)),
        "synapses",
        LAPPALAINEN,
        "column",
        {
            "type": tuple(names),
            "u": torch.from_numpy(u),
            "v": torch.from_numpy(v),
            "role": tuple(_role(lobe, name) for name in names),
        },
        {"sign": torch.from_numpy(sign)[order]},
    )


def optic_lobe_types() -> Connectome:
    """Types of neurons of the optic lobe of Drosophila: 65 columns, 605 edges.

    A weight is the number of synapses that a neuron of the target type receives from all neurons of
    the source type, the sum over the filter; ``edge_attributes`` has their ``"sign"``. See
    :func:`optic_lobe`.

    Raises:
        ImportError: flyvis is not installed, or its file is another.
    """
    lobe = _read()
    names = [node["name"] for node in lobe["nodes"]]
    place = {name: column for column, name in enumerate(names)}
    ends = [[place[edge[end]] for edge in lobe["edges"]] for end in ("src", "tar")]
    edge_index = torch.tensor(ends)
    order = ColumnGraph.edge_order(edge_index)
    counts = [sum(count for _, count in edge["offsets"]) for edge in lobe["edges"]]
    return Connectome(
        ColumnGraph.from_edge_index(edge_index, len(names)),
        torch.tensor(counts, dtype=torch.float64)[order],
        tuple(names),
        "synapses",
        LAPPALAINEN,
        attributes={"role": tuple(_role(lobe, name) for name in names)},
        edge_attributes={"sign": torch.tensor([edge["alpha"] for edge in lobe["edges"]])[order]},
    )


def _read() -> dict[str, Any]:
    """The file: nodes, edges and the names of inputs and outputs."""
    path = installed_file("the optic lobe", FLYVIS, "connectome/fib25-fib19_v2.2.json")
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return known


def _role(lobe: dict[str, Any], name: str) -> str:
    if name in lobe["input_units"]:
        return "input"
    return "output" if name in lobe["output_units"] else "intermediate"


def _kept(lobe: dict[str, Any], types: Sequence[str] | None) -> list[int]:
    """Places of the types in the file."""
    place = {node["name"]: column for column, node in enumerate(lobe["nodes"])}
    if types is None:
        return list(place.values())
    unknown = [name for name in types if name not in place]
    if unknown or not types or len(set(types)) != len(types) or isinstance(types, str):
        raise ValueError(f"types must be different names out of {', '.join(place)}. Got {types!r}.")
    return [place[name] for name in types]


def _neurons(nodes: Sequence[dict[str, Any]], radius: int) -> tuple[Ids, Ids, Ids]:
    """Population, u and v of every neuron, population by population."""
    span = np.arange(-radius, radius + 1)
    u, v = (axis.reshape(-1) for axis in np.meshgrid(span, span, indexing="ij"))
    inside = np.abs(u + v) <= radius
    u, v = u[inside], v[inside]
    steps = [node["pattern"][1] for node in nodes]
    places = [np.flatnonzero((u % a == 0) & (v % b == 0)) for a, b in steps]
    where = np.concatenate(places)
    population = np.repeat(np.arange(len(nodes)), [len(place) for place in places])
    return population, u[where], v[where]


def _edges(
    lobe: dict[str, Any], kept: Sequence[int], population: Ids, u: Ids, v: Ids, radius: int
) -> tuple[Ids, Ids, NDArray[np.float64], Ids]:
    """Target, source, synapses and sign of every edge."""
    size = 2 * radius + 1
    # The neuron of a population at every place of the plane; -1: none.
    at = np.full((len(kept), size, size), -1)
    at[population, u + radius, v + radius] = np.arange(len(population))
    number = {lobe["nodes"][place]["name"]: order for order, place in enumerate(kept)}
    members = [np.flatnonzero(population == order) for order in range(len(kept))]
    none = np.empty(0, dtype=np.int64)
    parts = [(none, none, none.astype(float), none)]
    for edge in lobe["edges"]:
        if edge["src"] not in number or edge["tar"] not in number:
            continue
        sources = members[number[edge["src"]]]
        for (du, dv), count in edge["offsets"]:
            a, b = u[sources] + du + radius, v[sources] + dv + radius
            inside = (a >= 0) & (a < size) & (b >= 0) & (b < size)
            found = at[number[edge["tar"]], a[inside], b[inside]]
            target, source = found[found >= 0], sources[inside][found >= 0]
            ones = np.ones(len(target), dtype=np.int64)
            parts.append((target, source, ones * float(count), ones * int(edge["alpha"])))
    target, source, counts, signs = (np.concatenate(column) for column in zip(*parts, strict=True))
    return target, source, counts, signs
