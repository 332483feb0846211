"""The cases, and the run of some of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from graphcolumns.bench import million, neighbourhoods, products, rewiring, sheet_step
from graphcolumns.bench.clock import ROUNDS, MachineLimits, limits, race
from graphcolumns.bench.contest import QUICK_ROUNDS, against, growth
from graphcolumns.bench.machine import headline, machine
from graphcolumns.bench.memory import peak
from graphcolumns.bench.names import NAMES, ON_REQUEST
from graphcolumns.bench.problem import Shape
from graphcolumns.bench.report import markdown, save_report
from graphcolumns.bench.row import Row

Case = Callable[[str, bool, MachineLimits], Iterator[Row]]

SHARED = [Shape(1024, 16, 8), Shape(1024, 64, 8), Shape(4096, 16, 1), Shape(4096, 16, 8)]
SHARED_GPU = [Shape(4096, 32, b) for b in (1, 8, 32)] + [Shape(65536, 64, 8)]
DENSE = [Shape(n, 16, 8) for n in (512, 1024, 2048, 4096)] + [Shape(16384, 16, 1)]
EDGES = [Shape(4096, k, 8) for k in (8, 16, 32, 64, 128)]
COLUMNS = [Shape(4**n, 16, 1) for n in range(5, 10)]


def shared_batch(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Attention on one sparse graph shared by a batch, forward and backward, against all peers."""
    shapes = SHARED_GPU if device == "cuda" else SHARED
    skipped = ("masked SDPA",) if device == "cpu" else ()
    for shape in shapes[:1] if quick else shapes:
        yield from against("shared batch", shape, device, quick, machine, leave_out=skipped)


def dense(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Against the dense columnformer, from few columns to many."""
    for shape in DENSE[:2] if quick else DENSE:
        yield from against("dense", shape, device, quick, machine, only=("masked SDPA",))


def edges(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Time and memory against the number of edges, columns fixed."""
    yield from growth("edges", EDGES[:3] if quick else EDGES, device, quick, machine)


def columns(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Time and memory against the number of columns, in-edges fixed; ids in space or at random."""
    shapes = COLUMNS[:3] if quick else COLUMNS
    for order in ("spatial", "random"):
        ordered = [shape._replace(order=order) for shape in shapes]
        yield from growth("columns", ordered, device, quick, machine)


def step(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """A whole training step of a sheet, and where its time goes."""
    shape = sheet_step.StepShape(512, 32, 16, 8, 2) if quick else sheet_step.StepShape()
    rounds = QUICK_ROUNDS if quick else ROUNDS
    # Each builds its own weights: one after the other, or together they would not fit a laptop.
    works = {name: build(shape, device) for name, build in sheet_step.STEPS.items()}
    works |= sheet_step.step_parts(shape, device)
    times = race(works, rounds, device)
    held = 4 * 4 * sheet_step.parameters(shape)  # weights, gradients and two moments
    for name, seconds in times.items():
        if name in sheet_step.STEPS:
            memory = peak(sheet_step.STEPS[name], shape, device, device=device)
            ratio = seconds.median / times["ours"].median
            note = f"weights, gradients, moments: {held / 2**20:.0f} MiB"
            yield Row("step", str(shape), name, seconds, ratio, None, memory, note)
        else:
            share = seconds.median / times["ours"].median
            note = f"{share:.0%} of our step"
            yield Row("step", str(shape), f"{name} alone", seconds, note=note)
    for name, build in sheet_step.INSIDE.items():
        memory, note = peak(build, shape, device, True, device=device), "AdamW while gradients come"
        yield Row("step", str(shape), name, memory=memory, note=note)


def memory(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Peak memory of a recurrence against its depth, activations stored or computed again."""
    yield from products.depth_rows(device, quick)


_FUNCTIONS = (
    *(shared_batch, dense, edges, columns, neighbourhoods.grid, neighbourhoods.long_range),
    *(step, products.product_rows, memory, rewiring.rewiring_rows, million.million_rows),
)
CASES: Mapping[str, Case] = dict(zip(NAMES, _FUNCTIONS, strict=True))


def run_suite(
    device: str = "cpu",
    quick: bool = False,
    cases: Sequence[str] | None = None,
    out: str | os.PathLike[str] = "bench",
    progress: bool = True,
) -> list[Row]:
    """Run benchmark cases and write ``bench.md``, ``bench.json`` and ``bench.png``.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        quick: Small shapes and three rounds, to see that everything runs. Not for numbers.
        cases: Names out of ``CASES`` (default: all but ``rewiring`` and ``million``).
        out: Folder of the results; earlier ones are replaced.
        progress: Show a progress bar.

    Returns:
        All rows.

    Raises:
        ValueError: An unknown case or device.
    """
    names = [name for name in CASES if name not in ON_REQUEST] if cases is None else list(cases)
    for name in names:
        if name not in CASES:
            raise ValueError(f"case must be one of {', '.join(CASES)}. Got {name!r}.")
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'cpu' or 'cuda'. Got {device!r}.")
    rates = limits(device)
    rows: list[Row] = []
    about = machine(rates, device)
    for name in tqdm(names, desc="bench", unit="case", disable=not progress):
        for row in CASES[name](device, quick, rates):
            rows.append(row)
        save_report(
            Path(out).expanduser(), rows, about
        )  # what is measured is kept, whatever comes next
    print(f"{headline(about)}\n\n{markdown(rows)}")
    return rows
