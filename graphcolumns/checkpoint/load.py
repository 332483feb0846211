"""Reading a checkpoint."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from graphcolumns.checkpoint.disk import damaged, digest
from graphcolumns.checkpoint.folder import READABLE, STATE, TOPOLOGY, WEIGHTS, find_checkpoint
from graphcolumns.checkpoint.topology import Topology, check_same_edges, kept_graphs, read_topology
from graphcolumns.nn.topology_state import keep_topology, topology_entries
from graphcolumns.plasticity import Rewiring, carry

KEYS = ("step", "train_seconds", "optimizer", "scaler", "weights_digest")  # of state.pt


class Progress(NamedTuple):
    """How far a run has come."""

    step: int
    train_seconds: float


def load(
    run: str | os.PathLike[str],
    model: nn.Module,
    *,
    optimizer: Optimizer | None = None,
    scaler: GradScaler | None = None,
    plasticity: Any = None,
    which: str = "last",
    averages: Sequence[nn.Module] = (),
) -> Progress:
    """Put a checkpoint into a model (and its optimizer) built from the same configuration.

    Args:
        run: Run folder.
        model: Model that receives the weights, and ``wiring_norm``; its graphs must have the same
            edges, unless a rule changed edges during the run: then they are brought to those of
            the checkpoint.
        optimizer: Optimizer that receives its moments.
        scaler: Loss scaling that receives its state.
        plasticity: ``Plasticity``, or whatever else has a ``load_state_dict``, that receives what
            its rule keeps between updates.
        which: ``"last"``, or ``"best"``, the checkpoint with the best validation score.
        averages: Moving averages of the model, as many as were saved.

    Raises:
        FileNotFoundError: No checkpoint.
        ValueError: A damaged file, or a checkpoint of another topology, model, format or number of
            averages.
    """
    folder = find_checkpoint(run, which)
    state = _read_state(folder / STATE)
    if state["weights_digest"] != digest(folder / WEIGHTS):
        raise damaged(folder / WEIGHTS, "its content does not match the digest in state.pt")
    topology = read_topology(run, which)
    if state.get("plasticity") is not None:
        _bring(model, topology, folder / TOPOLOGY)
    check_same_edges(topology, model, folder / TOPOLOGY)
    keep_topology(model)
    try:
        # The weights of earlier versions do not say to which edges they belong; checked above.
        model.load_state_dict(topology_entries(model) | load_file(folder / WEIGHTS))
    except RuntimeError as error:
        raise ValueError(
            f"{folder / WEIGHTS} holds the weights of another model: {error}. Build the model "
            "from the config.yaml of this run."
        ) from error
    # The weights came with their edges: both files must agree.
    check_same_edges(topology, model, folder / TOPOLOGY)
    # As a buffer it came with the weights; as a plain number it comes from here.
    if isinstance(getattr(model, "wiring_norm", None), float):
        model.wiring_norm = topology.wiring_norm  # type: ignore[assignment]
    if optimizer is not None and state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
    if scaler is not None and state["scaler"] is not None:
        scaler.load_state_dict(state["scaler"])
    if plasticity is not None and state.get("plasticity") is not None:
        plasticity.load_state_dict(state["plasticity"])
    _load_averages(averages, state.get("averages", []), folder)
    return Progress(state["step"], state["train_seconds"])


def _bring(model: nn.Module, topology: Topology, path: Path) -> None:
    """Bring the graphs of a model to the edges of a checkpoint."""
    for _, before, there in list(kept_graphs(topology, model, path)):
        kept = there.to(before.device)
        if not before.same_topology(kept):  # a model that cannot be rewired may keep its edges
            carry(Rewiring.between(before, kept), model)


def _load_averages(averages: Sequence[nn.Module], saved: list[Any], folder: Path) -> None:
    if averages and len(averages) != len(saved):
        raise ValueError(
            f"{folder} must hold as many averages as it is loaded into. Got {len(saved)} there, "
            f"and {len(averages)} here."
        )
    for average, state in zip(averages, saved, strict=False):
        keep_topology(average)
        average.load_state_dict(state)


def read_step(run: str | os.PathLike[str], which: str = "last") -> int:
    """Optimizer steps done at a checkpoint.

    Raises:
        FileNotFoundError: No checkpoint.
        ValueError: A damaged file, or another format.
    """
    step: int = _read_state(find_checkpoint(run, which) / STATE)["step"]
    return step


def _read_state(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise damaged(path, f"the checksum of {broken} is wrong")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (zipfile.BadZipFile, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise damaged(path, error) from error
    if not isinstance(state, dict):
        raise damaged(path, f"it holds a {type(state).__name__}")
    if state.get("format") not in READABLE:
        raise ValueError(
            f"{path} has checkpoint format {state.get('format')}; this version of graphcolumns "
            f"reads formats {' and '.join(map(str, READABLE))}. Install the version that wrote it."
        )
    missing = [key for key in KEYS if key not in state]
    if missing:
        raise damaged(path, f"it lacks {', '.join(missing)}")
    return state
