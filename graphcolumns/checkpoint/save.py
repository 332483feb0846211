"""Writing a checkpoint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from graphcolumns.checkpoint.about import About, write_about
from graphcolumns.checkpoint.disk import digest, sync
from graphcolumns.checkpoint.folder import ABOUT, FORMAT, STATE, TOPOLOGY, WEIGHTS, find_checkpoint
from graphcolumns.checkpoint.topology import check_permutation, write_topology
from graphcolumns.nn.protocols import graphs_of


def save(
    run: str | os.PathLike[str],
    model: nn.Module,
    *,
    step: int,
    optimizer: Optimizer | None = None,
    scaler: GradScaler | None = None,
    train_seconds: float = 0.0,
    permutation: Tensor | None = None,
    plasticity: Mapping[str, Any] | None = None,
    about: About | None = None,
    averages: Sequence[nn.Module] = (),
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        run: Run folder, made if missing.
        model: Model whose weights, graphs and, if it has one, ``wiring_norm`` are kept.
        step: Number of optimizer steps done.
        optimizer: Optimizer whose moments are kept.
        scaler: Loss scaling whose state is kept.
        train_seconds: Training time so far, in seconds.
        permutation: User's id of each column, ``[N]`` int64.
        plasticity: Memory of a rule between updates, if edges change.
        about: Fingerprint of the run, and its best score so far.
        averages: Moving averages of the model, kept whole.

    Raises:
        TypeError: ``model.graph`` is not a ColumnGraph.
        ValueError: ``permutation`` does not hold one id per column.
    """
    graphs = graphs_of(model)
    if permutation is not None:
        check_permutation(permutation, graphs.values())
    run = Path(run).expanduser()
    new = run / "checkpoint.tmp"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    # Clones, because safetensors refuses tensors that share memory, such as tied weights.
    weights = {
        name: v.detach().cpu().contiguous().clone() for name, v in model.state_dict().items()
    }
    save_file(weights, new / WEIGHTS)
    write_topology(new / TOPOLOGY, model, permutation)
    state = {
        "format": FORMAT,
        "step": step,
        "train_seconds": train_seconds,
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "plasticity": None if plasticity is None else dict(plasticity),
        "weights_digest": digest(new / WEIGHTS),
        "averages": [average.state_dict() for average in averages],
    }
    torch.save(state, new / STATE)
    write_about(new / ABOUT, about or About())
    for path in (new / WEIGHTS, new / TOPOLOGY, new / STATE, new / ABOUT, new):
        sync(path)
    _replace(run, new, "checkpoint")


def keep_best(run: str | os.PathLike[str]) -> None:
    """Keep a copy of the last checkpoint as the best one, in place of an earlier one."""
    run = Path(run).expanduser()
    new = run / "best.tmp"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(find_checkpoint(run), new)
    for path in (*new.iterdir(), new):
        sync(path)
    _replace(run, new, "best")


def _replace(run: Path, new: Path, name: str) -> None:
    """Rename ``new``; at every moment one whole checkpoint has a known name."""
    current, old = run / name, run / f"{name}.old"
    if current.exists():
        # Only beside a whole checkpoint is an older leftover superfluous.
        shutil.rmtree(old, ignore_errors=True)
        current.rename(old)
    new.rename(current)
    sync(run)
    shutil.rmtree(old, ignore_errors=True)
