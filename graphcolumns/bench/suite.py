"""The cases, and the run of some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from graphcolumns.bench import million, peers, products, rewiring, sheet_step
from graphcolumns.bench.clock import ROUNDS, Limits, limits, race
from graphcolumns.bench.memory import peak
from graphcolumns.bench.peers import PEERS
from graphcolumns.bench.problem import Problem, Shape, draw
from graphcolumns.bench.report import Row, headline, machine, markdown, recycled, save

Case = Callable[[str, bool, Limits], Iterator[Row]]

SHARED = [Shape(1024, 16, 8), Shape(1024, 64, 8), Shape(4096, 16, 1), Shape(4096, 16, 8)]
SHARED_GPU = [Shape(4096, 32, b) for b in (1, 8, 32)] + [Shape(65536, 64, 8)]
DENSE = [Shape(n, 16, 8) for n in (512, 1024, 2048, 4096)] + [Shape(16384, 16, 1)]
EDGES = [Shape(4096, k, 8) for k in (8, 16, 32, 64, 128)]
COLUMNS = [Shape(4**n, 16, 1) for n in range(5, 10)]
# Shapes whose peak memory is measured too, a process per peer; and one that is worth the minutes
# that compiling PyG takes on a CPU.
WEIGHED = (Shape(1024, 64, 8), Shape(4096, 16, 8))
COMPILED = Shape(4096, 16, 8)
QUICK_ROUNDS = 3


def shared_batch(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """Attention on one sparse graph shared by a batch, forward and backward, against all peers."""
    shapes = SHARED_GPU if device == "cuda" else SHARED
    skipped = ("masked SDPA",) if device == "cpu" else ()
    for shape in shapes[:1] if quick else shapes:
        yield from _against("shared batch", shape, device, quick, machine, leave_out=skipped)


def dense(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """Against the dense columnformer, from few columns to many."""
    for shape in DENSE[:2] if quick else DENSE:
        yield from _against("dense", shape, device, quick, machine, only=("masked SDPA",))


def edges(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """Time and memory against the number of edges, columns fixed."""
    yield from _growth("edges", EDGES[:3] if quick else EDGES, device, quick, machine)


def columns(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """Time and memory against the number of columns, in-edges fixed; ids in space or at random."""
    shapes = COLUMNS[:3] if quick else COLUMNS
    for order in ("spatial", "random"):
        ordered = [shape._replace(order=order) for shape in shapes]
        yield from _growth("columns", ordered, device, quick, machine)


def step(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """A whole training step of a sheet, and where its time goes."""
    shape = sheet_step.StepShape(512, 32, 16, 8, 2) if quick else sheet_step.StepShape()
    rounds = QUICK_ROUNDS if quick else ROUNDS
    # Each builds its own weights: one after the other, or together they would not fit a laptop.
    works = {name: build(shape, device) for name, build in sheet_step.STEPS.items()}
    works |= sheet_step.parts(shape, device)
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
    yield from products.rows(shape, device, rounds, machine)


def memory(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """Peak memory of a recurrence against its depth, activations stored or computed again."""
    yield from products.depth_rows(device, quick)


CASES: Mapping[str, Case] = {
    "shared_batch": shared_batch,
    "dense": dense,
    "edges": edges,
    "columns": columns,
    "step": step,
    "memory": memory,
    "rewiring": rewiring.rows,
    "million": million.rows,
}
# Not part of a run unless it is named: minutes, and gigabytes.
ON_REQUEST = ("rewiring", "million")


def run(
    device: str = "cpu",
    quick: bool = False,
    cases: Sequence[str] | None = None,
    out: str | Path = "bench",
    progress: bool = True,
) -> list[Row]:
    """Run benchmark cases and write `bench.md`, `bench.json` and `bench.png`.

    Args:
        device: `"cpu"` or `"cuda"`.
        quick: small shapes and three rounds, to see that everything runs. Not for numbers.
        cases: names out of `CASES` (default: all but `rewiring` and `million`).
        out: folder of the results; earlier ones are replaced.
        progress: show a progress bar.

    Returns:
        All rows.

    Raises:
        ValueError: an unknown case or device.
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
        save(Path(out), rows, about)  # what is measured is kept, whatever comes next
    print(f"{headline(about)}\n\n{markdown(rows)}")
    return rows


def _against(
    case: str,
    shape: Shape,
    device: str,
    quick: bool,
    machine: Limits,
    only: Sequence[str] = tuple(PEERS),
    leave_out: Sequence[str] = (),
) -> Iterator[Row]:
    """Our row, and one for each peer."""
    problem = draw(shape, device)
    works, missing = {"ours": peers.ours(problem)}, {}
    for name in (name for name in only if name not in leave_out):
        why = PEERS[name].missing(problem, device)
        if name == "PyG compiled" and device == "cpu" and (quick or shape != COMPILED):
            why = f"takes a minute to compile; only for {COMPILED}"
        if why:
            missing[name] = why
        else:
            works[name] = PEERS[name].build(problem)
    rounds = QUICK_ROUNDS if quick or shape.columns >= 16384 else ROUNDS
    times = race(works, rounds, device)
    # Where freed memory is kept for later, nobody can see what a call needs.
    weighed = not quick and (device == "cuda" or shape in WEIGHED) and not recycled()
    for name, seconds in times.items():
        limit = problem.least_seconds(machine) / seconds.median
        yield Row(
            case, str(shape), name, seconds, seconds.median / times["ours"].median, limit,
            peak(_solve, name, shape, device, device=device) if weighed else None,
        )  # fmt: skip
    for name, why in missing.items():
        yield Row(case, str(shape), name, note=why)


def _growth(
    case: str, shapes: Sequence[Shape], device: str, quick: bool, machine: Limits
) -> Iterator[Row]:
    """Our rows alone, with what they are plotted against."""
    for shape in shapes:
        problem: Problem = draw(shape, device)
        rounds = QUICK_ROUNDS if quick else ROUNDS
        seconds = race({"ours": peers.ours(problem)}, rounds, device)["ours"]
        who = "ours" if shape.order == "spatial" else "ours, random order"
        yield Row(
            case, str(shape), who, seconds, None, problem.least_seconds(machine) / seconds.median,
            None if quick else peak(_solve, "ours", shape, device, device=device),
            values={"edges": float(shape.columns * shape.degree), "columns": float(shape.columns)},
        )  # fmt: skip


def _solve(name: str, shape: Shape, device: str) -> Callable[[], object]:
    """The work of a peer, for a process of its own."""
    build = peers.ours if name == "ours" else PEERS[name].build
    return partial(build(draw(shape, device)))
