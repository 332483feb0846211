"""``graphcolumns bench`` and ``graphcolumns build-kernels``."""

from __future__ import annotations

from graphcolumns.cli.arguments import build_kernels as parser
from graphcolumns.ops.extension import build_kernels as build


def bench(arguments: list[str]) -> None:
    """Measure our kernels and layers against peers, see ``graphcolumns bench --help``."""
    from graphcolumns.bench.command import run_command  # its peers take a second to import

    run_command(arguments)


def build_kernels(arguments: list[str]) -> None:
    """Compile the C++ kernels for this machine, and say where they are."""
    parser().parse_args(arguments)
    print(build())
