"""The edges in a checkpoint."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from graphcolumns.checkpoint.disk import damaged
from graphcolumns.checkpoint.folder import TOPOLOGY, find
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.edges import first_difference, inverse
from graphcolumns.nn.protocols import graph_of

USER = "user"  # the value of "order" where ids in a file are those of the user


class Topology(NamedTuple):
    """What ``topology.safetensors`` holds.

    Attributes:
        graph: Edges in the order of the user.
        permutation: User's id of each column of the model, ``[N]`` int64; None: the same order.
        wiring_norm: Normaliser ``D0`` of the wiring loss, in the unit of the distances to their
            power.
    """

    graph: ColumnGraph
    permutation: Tensor | None
    wiring_norm: float | None

    def in_model(self) -> ColumnGraph:
        """The edges in the order of the model, that of the weights in the checkpoint."""
        return self.graph if self.permutation is None else self.graph.permute(self.permutation)


def read_topology(run: str | os.PathLike[str], which: str = "last") -> Topology:
    """The edges of a checkpoint, with the permutation and the wiring normaliser kept beside them.

    Edges have the ids of the user. Files of earlier versions, which hold those of the model (their
    metadata say nothing of an order), are brought into the order of the user.

    Raises:
        FileNotFoundError: No checkpoint.
        ValueError: The file is damaged.
    """
    path = find(run, which) / TOPOLOGY
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("graphcolumns", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise damaged(path, error) from error
    if about.get("hash") != _hash(tensors):
        raise damaged(path, "its content does not match its hash")
    parts = tensors["rowptr"], tensors["source"], tensors.get("distance")
    graph, permutation = ColumnGraph(*parts, about["num_sources"]), tensors.get("permutation")
    if about.get("order") != USER and permutation is not None:
        graph = graph.permute(inverse(permutation, graph.num_columns))
    return Topology(graph, permutation, about["wiring_norm"])


def write_topology(path: Path, model: nn.Module, permutation: Tensor | None) -> None:
    """Write ``model.graph``, and beside it the permutation and ``model.wiring_norm``, if any.

    Edges are written in the order of the user.

    Raises:
        TypeError: ``model.graph`` is not a ColumnGraph.
    """
    graph = graph_of(model)
    if permutation is not None:
        graph = graph.permute(inverse(permutation, graph.num_columns))
    parts = {
        "rowptr": graph.rowptr,
        "source": graph.source,
        "distance": graph.distance,
        "permutation": permutation,
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in parts.items() if v is not None}
    norm = getattr(model, "wiring_norm", None)
    about = {
        "hash": _hash(tensors),
        "order": USER,
        "num_columns": graph.num_columns,
        "num_sources": graph.num_sources,
        "num_edges": graph.num_edges,
        "wiring_norm": None if norm is None else float(norm),
    }
    # One entry: safetensors writes several in random order, and the file must be reproducible.
    save_file(tensors, path, {"graphcolumns": json.dumps(about)})


def check_permutation(permutation: Tensor, num_columns: int) -> None:
    """Raise a ValueError unless there is one id of the user per column."""
    tensor = isinstance(permutation, Tensor)
    if not tensor or permutation.dtype != torch.int64 or permutation.shape != (num_columns,):
        got = f"{permutation.dtype} {list(permutation.shape)}" if tensor else repr(permutation)
        raise ValueError(
            "permutation must hold the user's id of each column, an int64 tensor [N] = "
            f"[{num_columns}]. Got {got}."
        )


def check_same_edges(kept: Topology, model: nn.Module, path: Path) -> None:
    """Raise unless the model has the edges of a checkpoint.

    Raises:
        ValueError: It does not; the message says what differs first, in the ids of the user.
    """
    graph, there = graph_of(model).to("cpu"), kept.in_model()
    if graph.same_topology(there):
        return
    if kept.permutation is not None and graph.num_columns == there.num_columns:
        back = inverse(kept.permutation, graph.num_columns)
        graph, there = graph.permute(back), kept.graph
    raise ValueError(
        f"{path} holds another topology: {first_difference(there, graph)}. Build the graph from "
        "the config.yaml of this run, or take it from checkpoint.read_topology(run)."
    )


def _hash(tensors: dict[str, Tensor]) -> str:
    """A 128-bit fingerprint of named tensors, hexadecimal."""
    digest = blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
