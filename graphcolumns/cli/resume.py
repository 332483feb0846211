"""`graphcolumns resume`."""

from __future__ import annotations

import os
from pathlib import Path

from graphcolumns.cli.arguments import resume as parser
from graphcolumns.cli.build import Parts, build
from graphcolumns.cli.report import write_report
from graphcolumns.cli.run_folder import read_config
from graphcolumns.train import train

SHOWN = (
    *("test_accuracy", "validation_accuracy", "train_accuracy", "updates", "not_reached"),
    *("edges", "density"),
    *("wiring_length", "parameters", "train_seconds", "peak_memory_mb"),
)


def resume(arguments: list[str]) -> None:
    """Continue a run that was stopped, from its last checkpoint: `RUN`."""
    run = parser().parse_args(arguments).run
    config = read_config(run)
    run_training(build(config), run, config["report"], resume=True)


def run_training(parts: Parts, run: Path, report: bool, resume: bool = False) -> float | None:
    """Train, print the summary, and return the accuracy on the held-out half (for sweepers).

    Args:
        parts: what to train.
        run: the run folder.
        report: also write its report.
        resume: continue what is in the folder.
    """
    summary = train(
        parts.model,
        parts.data,
        run=run,
        losses=parts.losses,
        permutation=parts.permutation,
        unit=parts.geometry.unit,
        geometry=parts.geometry,
        resume=resume,
        **parts.options,
    )
    print(f"{'run':<20}{os.path.relpath(run)}")
    for name in SHOWN:
        value = summary.get(name)
        if value is not None:
            print(f"{name:<20}{value:.4g}" if isinstance(value, float) else f"{name:<20}{value}")
    if report:
        page = write_report(parts.current(), run)
        print(f"{'report':<20}{os.path.relpath(page)}")
    accuracy = summary.get(f"{parts.data.held_out}_accuracy")
    return accuracy if isinstance(accuracy, float) else None
