"""``graphcolumns report``."""

from __future__ import annotations

import os
from pathlib import Path

from graphcolumns.analysis import report as page
from graphcolumns.cli.arguments import report as parser
from graphcolumns.cli.build import Parts
from graphcolumns.cli.run_folder import parts_of
from graphcolumns.data import AnyDataset, Dataset

SAMPLES = 1024  # of each half of data that is read when it is needed


def report(arguments: list[str]) -> None:
    """Write report.html into a run folder, from its last checkpoint: ``RUN``."""
    run = parser().parse_args(arguments).run
    print(f"{'report':<20}{os.path.relpath(write_report(parts_of(run), run))}")


def write_report(parts: Parts, run: Path) -> Path:
    """The report of a run, from its trained parts."""
    device = parts.options.device
    config = run / "config.yaml"
    return page.write(
        run,
        model=parts.model.to(device),
        data=in_memory(parts.data, SAMPLES).to(device),
        geometry=parts.geometry,
        permutation=parts.permutation,
        config=config.read_text(encoding="utf-8") if config.is_file() else "",
        seed=parts.options.seed,
    )


def in_memory(data: AnyDataset, samples: int) -> Dataset:
    """Data as a report needs them: of data read when it is needed, the first samples."""
    return data if isinstance(data, Dataset) else data.in_memory(samples)
