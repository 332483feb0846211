"""The start of a run: its first checkpoint, or the last one of a run that is resumed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from graphcolumns import checkpoint
from graphcolumns.checkpoint import Best
from graphcolumns.checkpoint.about import write_change
from graphcolumns.training.fingerprint import check_same_run
from graphcolumns.training.plastic_updates import PlasticUpdates

NUMBERS = ("weight_decay", "betas")  # of a group of parameters, that may change


class StartPoint(NamedTuple):
    """Where a run stands when it starts."""

    step: int
    seconds: float
    best: Best | None


def start(
    run: Path,
    model: nn.Module,
    optimizer: Optimizer,
    scaler: GradScaler,
    plasticity: PlasticUpdates,
    fingerprint: Mapping[str, Any],
    resume: bool,
    changes: Collection[str],
    save: Callable[..., None],
    averages: Sequence[nn.Module] = (),
) -> StartPoint:
    """Read the last checkpoint, or write the first one.

    Args:
        run: Run folder.
        model: Model that receives the weights.
        optimizer: Optimizer that receives its moments; its numbers stay those given now.
        scaler: Scaler that receives its state.
        plasticity: Rules that receive their state.
        fingerprint: Fingerprint of the run as it is started now.
        resume: Whether to continue what is in the folder.
        changes: Names of options that are meant to differ from the run that is resumed.
        save: Function that writes a checkpoint, called with ``step``, ``seconds`` and ``best``.
        averages: Moving averages that receive their values.

    Raises:
        FileExistsError: The folder is not free and ``resume`` is False, or it holds no run.
        ValueError: The run was begun otherwise.
    """
    if not (resume and checkpoint.has_checkpoint(run)):
        checkpoint.check_free(run)
        save(step=0, seconds=0.0, best=None)
        return StartPoint(0, 0.0, None)
    done = checkpoint.read_step(run)
    change = check_same_run(run, fingerprint, done, changes)
    own = [{n: group[n] for n in NUMBERS if n in group} for group in optimizer.param_groups]
    parts = {"optimizer": optimizer, "scaler": scaler, "plasticity": plasticity}
    _, seconds = checkpoint.load(run, model, averages=averages, **parts)  # type: ignore[arg-type]
    best = checkpoint.read_about(run).best
    if change.changes:
        # With the state of the optimizer came its old numbers; the rate is set at every step.
        for group, numbers in zip(optimizer.param_groups, own, strict=True):
            group.update(numbers)
        write_change(run, change)
        save(step=done, seconds=seconds, best=best)
    if best is not None and best.step == done:
        # Killed between the two, `best` may still be an older one.
        checkpoint.keep_best(run)
    return StartPoint(done, seconds, best)
