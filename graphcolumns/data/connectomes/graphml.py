"""Connectomes from GraphML."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import torch
from torch import Tensor

from graphcolumns.data.connectomes.connectome import Connectome
from graphcolumns.data.connectomes.edge_arrays import AXES, connectome_of, with_positions
from graphcolumns.geometry import Unit


def connectome_of_graphml(path: Path, weight: str | None, unit: Unit) -> Connectome:
    """A connectome from GraphML: names and, if all nodes have x, y (and z), positions.

    An undirected file has an edge in both directions for each of its edges.

    Raises:
        ValueError: A damaged file, parallel edges, edges some of which have no weight.
    """
    import networkx

    try:
        network: Any = networkx.read_graphml(path)
    except (ParseError, networkx.NetworkXError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged or no GraphML ({error}). Save it again.") from error
    if network.is_multigraph():
        raise ValueError(
            f"edges of {path} must be listed once. Got parallel edges; add their weights up."
        )
    nodes = list(network.nodes)
    names = tuple(str(network.nodes[node].get("name", node)) for node in nodes)
    ids = {node: i for i, node in enumerate(nodes)}
    edges = list(network.to_directed().edges(data=True))
    source = np.array([ids[a] for a, _, _ in edges], dtype=np.int64)
    target = np.array([ids[b] for _, b, _ in edges], dtype=np.int64)
    values, named = _weights(path, edges, weight)
    found = connectome_of(source, target, values, names, named, path.name)
    positions = _positions([network.nodes[node] for node in nodes])
    return found if positions is None else with_positions(found, positions, unit)


def _weights(path: Path, edges: list[Any], weight: str | None) -> tuple[np.ndarray, str]:
    """Weights of the edges, 1 where none are given, and their unit."""
    name = weight or "weight"
    values = [about.get(name) for *_, about in edges]
    missing = sum(value is None for value in values)
    if missing and (weight is not None or missing < len(values)):
        raise ValueError(
            f"edges of {path} must all have the attribute {name!r}. Got {missing} of {len(values)} "
            "without it."
        )
    if missing or not values:
        return np.ones(len(values)), "edges"
    try:
        numbers = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise ValueError(f"the attribute {name!r} of {path} must hold numbers: {error}.") from error
    if not np.isfinite(numbers).all():
        raise ValueError(f"the attribute {name!r} of {path} must hold finite numbers. Got others.")
    return numbers, name


def _positions(nodes: list[dict[str, Any]]) -> Tensor | None:
    """Positions of the nodes; None unless all have x and y."""
    axes = [axis for axis in AXES if nodes and all(axis in node for node in nodes)]
    if axes[:2] != ["x", "y"]:
        return None
    positions = [[float(node[axis]) for axis in axes] for node in nodes]
    return torch.tensor(positions, dtype=torch.float64)
