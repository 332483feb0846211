"""The command line of the benchmark suite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from graphcolumns.bench.names import NAMES, ON_REQUEST


def run_command(arguments: Sequence[str] | None = None) -> None:
    """Run benchmark cases: ``[--device cpu|cuda] [--quick] [--case NAME] [--out FOLDER]``."""
    options = parser().parse_args(arguments)
    from graphcolumns.bench.suite import run_suite  # torch and the peers: not for `--help`

    run_suite(options.device, options.quick, options.case, options.out)


def parser() -> argparse.ArgumentParser:
    """The options of the suite."""
    parser = argparse.ArgumentParser("graphcolumns bench", description="Measure against peers.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="small shapes: does everything run?")
    parser.add_argument(
        "--case", action="append", choices=NAMES,
        help=f"may be given several times (default: all but {', '.join(ON_REQUEST)})",
    )  # fmt: skip
    parser.add_argument("--out", default="bench", metavar="FOLDER", help="of the results")
    return parser
