"""How long it takes to begin: the import, and graphs of many columns. Prints a Markdown table.

    python tests/benchmarks/startup.py > docs/measurements/startup.md

Imports are timed in new processes, ours and torch_geometric's in turn (the least of several: what
else the machine does only adds to it). Graphs are timed in one process.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

import torch
from tqdm import tqdm

from geometries import cortex, grid
from graphcolumns import Geometry, connect

ROUNDS = 5
IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
PLACES: dict[str, tuple[Callable[[], Geometry], float]] = {
    "a torus of 100,000 columns": (partial(grid.sheet, 250, 400, torus=True), 2.0),
    "fsaverage5, 20,484 columns, along the surface": (
        partial(cortex.fsaverage, 5, medial_wall=True),
        10.0,
    ),
}


def import_seconds(module: str) -> float:
    # Users run with stored bytecode, so it is stored here too, whatever the environment says.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", IMPORT.format(module)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(result.stdout)


def imports() -> tuple[float, float]:
    """Seconds of ours and of torch_geometric's; the first round only warms the disk."""
    rounds = [
        (import_seconds("graphcolumns"), import_seconds("torch_geometric"))
        for _ in tqdm(range(ROUNDS + 1), "imports", disable=None)
    ]
    ours, theirs = zip(*rounds[1:], strict=True)
    return min(ours), min(theirs)


def graphs() -> Iterator[tuple[str, float]]:
    """What is connected, and its seconds."""
    for place, (build, length) in tqdm(PLACES.items(), "graphs", disable=None):
        geometry = build()
        ways = {
            "nearest": partial(connect.nearest, geometry, 32),
            "distance_decay": partial(connect.distance_decay, geometry, 32, length, "gaussian"),
        }
        for way, connected in ways.items():
            start = time.perf_counter()
            connected()
            yield f"`connect.{way}`, 32 in-edges, {place}", time.perf_counter() - start


def main() -> None:
    ours, theirs = imports()
    print("# How long it takes to begin\n")
    print(
        f"`python tests/benchmarks/startup.py`, {platform.machine()}, {torch.get_num_threads()} "
        f"threads, Python {platform.python_version()}, torch {torch.__version__}, {date.today()}.\n"
    )
    print("| what | seconds | of torch_geometric's import |\n|---|---:|---:|")
    print(f"| `import torch_geometric` | {theirs:.2f} | 1 |")
    print(f"| `import graphcolumns` | {ours:.2f} | {ours / theirs:.2f} |")
    for what, seconds in graphs():
        print(f"| {what} | {seconds:.1f} | |")


if __name__ == "__main__":
    main()
