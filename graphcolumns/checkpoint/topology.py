"""The edges in a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graphcolumns.checkpoint.disk import damaged
from graphcolumns.checkpoint.folder import TOPOLOGY, find_checkpoint
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import first_difference, inverse
from graphcolumns.nn.protocols import ONLY, graphs_of

PARTS = ("rowptr", "source", "distance")
USER = "user"  # the value of "order" where ids in a file are those of the user


class Topology(NamedTuple):
    """What ``topology.safetensors`` holds.

    Attributes:
        graphs: Edges of all graphs by name, in the order of the user; one alone is called
            ``"graph"``.
        permutation: User's id of each column of the model, ``[N]`` int64; None: the same order.
        wiring_norm: Normaliser ``D0`` of the wiring loss, in the unit of the distances to their
            power.
    """

    graphs: Mapping[str, ColumnGraph]
    permutation: Tensor | None
    wiring_norm: float | None

    @property
    def graph(self) -> ColumnGraph:
        """The edges of the first graph, in the order of the user."""
        return next(iter(self.graphs.values()))

    def in_model(self, name: str | None = None) -> ColumnGraph:
        """The edges in the order of the model, that of the weights in the checkpoint.

        Args:
            name: Name of the graph (default: the first).
        """
        graph = self.graph if name is None else self.graphs[name]
        permutation = self.permutation
        return (
            graph
            if permutation is None
            else with_ids(graph, inverse(permutation, len(permutation)))
        )


def with_ids(graph: ColumnGraph, ids: Tensor) -> ColumnGraph:
    """The same edges between columns with other ids.

    Args:
        graph: Edges among the columns, or from or to other ones, which keep their ids.
        ids: New id of each column, ``[N]`` int64.
    """
    source, target = graph.edge_index
    ids = ids.to(source)
    return ColumnGraph.from_edge_index(
        torch.stack(
            [
                ids[source] if graph.num_sources == len(ids) else source,
                ids[target] if graph.num_columns == len(ids) else target,
            ]
        ),
        graph.num_columns,
        graph.num_sources,
        graph.distance,
    )


def read_topology(run: str | os.PathLike[str], which: str = "last") -> Topology:
    """The edges of a checkpoint, with the permutation and the wiring normaliser kept beside them.

    Edges have the ids of the user. Files of earlier versions, which hold those of the model (their
    metadata say nothing of an order), are brought into the order of the user.

    Raises:
        FileNotFoundError: No checkpoint.
        ValueError: The file is damaged.
    """
    path = find_checkpoint(run, which) / TOPOLOGY
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("graphcolumns", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise damaged(path, error) from error
    if about.get("hash") != _hash(tensors):
        raise damaged(path, "its content does not match its hash")
    permutation = tensors.get("permutation")
    sources = about.get("graphs", {ONLY: about["num_sources"]})
    graphs = {name: _read(tensors, _prefix(name, sources), m) for name, m in sources.items()}
    if about.get("order") != USER and permutation is not None:
        graphs = {name: with_ids(graph, permutation) for name, graph in graphs.items()}
    return Topology(MappingProxyType(graphs), permutation, about["wiring_norm"])


def write_topology(path: Path, model: nn.Module, permutation: Tensor | None) -> None:
    """Write the graphs of a model, with the permutation and ``model.wiring_norm``, if any.

    Edges are written in the order of the user.

    Raises:
        TypeError: The model has no ColumnGraph.
    """
    graphs = dict(graphs_of(model))
    if permutation is not None:
        graphs = {name: with_ids(graph, permutation) for name, graph in graphs.items()}
    parts = {"permutation": permutation}
    for name, graph in graphs.items():
        prefix = _prefix(name, graphs)
        parts |= {prefix + part: getattr(graph, part) for part in PARTS}
    # Clones, because graphs with the same edges may share their tensors, which safetensors refuses.
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in parts.items() if v is not None}
    norm, first = getattr(model, "wiring_norm", None), next(iter(graphs.values()))
    about = {
        "hash": _hash(tensors),
        "order": USER,
        "num_columns": first.num_columns,
        "num_sources": first.num_sources,
        "num_edges": first.num_edges,
        "wiring_norm": None if norm is None else float(norm),
    }
    if len(graphs) > 1:
        about["graphs"] = {name: graph.num_sources for name, graph in graphs.items()}
    # One entry: safetensors writes several in random order, and the file must be reproducible.
    save_file(tensors, path, {"graphcolumns": json.dumps(about)})


def _prefix(name: str, graphs: Mapping[str, Any]) -> str:
    """What stands before the names of the tensors of a graph: nothing for the first."""
    return "" if name == next(iter(graphs)) else f"{name}."


def _read(tensors: Mapping[str, Tensor], prefix: str, num_sources: int) -> ColumnGraph:
    rowptr, source, distance = (tensors.get(prefix + part) for part in PARTS)
    assert rowptr is not None
    assert source is not None
    return ColumnGraph(rowptr, source, distance, num_sources)


def check_permutation(permutation: Tensor, graphs: Collection[ColumnGraph]) -> None:
    """Raise a ValueError unless there is one id of the user per column of a graph."""
    sizes = {n for graph in graphs for n in (graph.num_columns, graph.num_sources)}
    tensor = isinstance(permutation, Tensor)
    fits = tensor and permutation.ndim == 1 and len(permutation) in sizes
    if not fits or permutation.dtype != torch.int64:
        got = f"{permutation.dtype} {list(permutation.shape)}" if tensor else repr(permutation)
        expected = " or ".join(f"[{size}]" for size in sorted(sizes))
        raise ValueError(
            "permutation must hold the user's id of each column, an int64 tensor [N] = "
            f"{expected}. Got {got}."
        )


def kept_graphs(
    kept: Topology, model: nn.Module, path: Path
) -> Iterator[tuple[str, ColumnGraph, ColumnGraph]]:
    """Every graph of a model and that of the checkpoint, in its order: (name, now, kept).

    A file of one graph is about the first of the model, or, from an earlier version, about all
    edges together, ``model.graph``.

    Raises:
        ValueError: The model has other graphs.
    """
    graphs = graphs_of(model)
    if len(kept.graphs) > 1 and list(kept.graphs) != list(graphs):
        raise ValueError(
            f"{path} holds other graphs. Expected {', '.join(map(repr, graphs))}. Got "
            f"{', '.join(map(repr, kept.graphs))}; build the model that was trained."
        )
    whole = getattr(model, "graph", None)
    if len(graphs) > len(kept.graphs) and isinstance(whole, ColumnGraph):
        graphs = {ONLY: whole}
    for (name, graph), own in zip(graphs.items(), kept.graphs, strict=False):
        yield name, graph, kept.in_model(own)


def check_same_edges(kept: Topology, model: nn.Module, path: Path) -> None:
    """Raise unless the graphs of a model have the edges in a checkpoint.

    Raises:
        ValueError: They have not; the message says what differs first, in the ids of the user.
    """
    for name, graph, there in kept_graphs(kept, model, path):
        here = graph.to("cpu")
        if here.same_topology(there):
            continue
        if kept.permutation is not None and here.num_columns == there.num_columns:
            here, there = (with_ids(each, kept.permutation) for each in (here, there))
        raise ValueError(
            f"{path} holds another topology{f' of {name!r}' if len(kept.graphs) > 1 else ''}: "
            f"{first_difference(there, here)}. Build the graph from the config.yaml of this run, "
            "or take it from checkpoint.read_topology(run)."
        )


def _hash(tensors: dict[str, Tensor]) -> str:
    """A 128-bit fingerprint of named tensors, hexadecimal."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
