"""``graphcolumns resume``."""

from __future__ import annotations

import os
from pathlib import Path

from graphcolumns import checkpoint
from graphcolumns.cli.arguments import resume as parser
from graphcolumns.cli.changes import with_overrides
from graphcolumns.cli.prepare import Prepared, prepare
from graphcolumns.cli.report import write_report
from graphcolumns.cli.run_folder import read_config, write_config
from graphcolumns.training.fingerprint import FREE
from graphcolumns.training.loop import run_steps

SHOWN = (
    *("test_accuracy", "validation_accuracy", "train_accuracy", "updates", "not_reached"),
    *("edges", "density"),
    *("wiring_length", "parameters", "train_seconds", "peak_memory_mb"),
    *("best_step", "best_validation_accuracy", "best_validation_loss", "changes"),
)


def resume(arguments: list[str]) -> None:
    """Continue a run that was stopped, from its last checkpoint: ``RUN [KEY=VALUE ...]``."""
    args = parser().parse_args(arguments)
    config, changes = with_overrides(read_config(args.run), args.overrides)
    prepared = prepare(config, [name for name in changes if name not in FREE])
    if args.overrides and not checkpoint.has_checkpoint(args.run):
        # Stopped before its first checkpoint, a run begins now, as it is args for now.
        checkpoint.check_free(args.run)
        write_config(args.run, config)
    run_training(prepared, args.run, config["report"], resume=True)


def run_training(prepared: Prepared, run: Path, report: bool, resume: bool = False) -> float | None:
    """Train, print the summary, and return the accuracy on the held-out half (for sweepers).

    Args:
        prepared: Run to train.
        run: Run folder.
        report: Whether to write its report too.
        resume: Whether to continue what is in the folder.
    """
    parts, summary = prepared.parts, run_steps(prepared.training, run, resume)
    print(f"{'run':<20}{os.path.relpath(run)}")
    halves, metrics = (parts.data.held_out, "train"), parts.data.task.metrics
    scores = [f"{half}_{name}" for name in metrics for half in halves]
    of_graphs = [name for name in summary if name.rpartition("/")[2] in SHOWN]
    for name in dict.fromkeys((*SHOWN[:3], *scores, *SHOWN[3:], *of_graphs)):
        value = summary.get(name)
        if value is not None:
            print(f"{name:<19} {value:.4g}" if isinstance(value, float) else f"{name:<19} {value}")
    if report:
        page = write_report(parts.current(), run)
        print(f"{'report':<20}{os.path.relpath(page)}")
    accuracy = summary.get(f"{parts.data.held_out}_accuracy")
    return accuracy if isinstance(accuracy, float) else None
