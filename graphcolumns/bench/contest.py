"""One problem, everyone on it: rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor

from graphcolumns.bench import peers
from graphcolumns.bench.clock import ROUNDS, MachineLimits, Work, race
from graphcolumns.bench.machine import recycled
from graphcolumns.bench.memory import on_gpu, peak
from graphcolumns.bench.peers import PEERS, Peer
from graphcolumns.bench.problem import Problem, Shape, draw
from graphcolumns.bench.row import Row

# Shapes whose peak memory is measured too, a process per peer.
WEIGHED = (Shape(1024, 64, 8), Shape(4096, 16, 8))
# Shapes of the cases that are worth the time that a peer takes to compile, anew for each of them.
COMPILED = {
    ("PyG compiled", "cpu"): (Shape(4096, 16, 8),),
    ("PyG compiled", "cuda"): (Shape(4096, 32, 32),),
    ("FlexAttention", "cuda"): (
        *(Shape(4096, 32, 32), Shape(65536, 64, 8)),
        *(Shape(65536, 64, 8, dtype=torch.bfloat16, far=far) for far in (0.0, 6 / 64)),
        *(Shape(256**2, 9**2, 1, "grid", 4, width, torch.bfloat16) for width in (32, 64)),
        Shape(128**2, 33**2, 1, "grid", 4, 32, torch.bfloat16),
    ),
}
QUICK_ROUNDS = 3
# Largest difference to our gradients, over their largest number, of a peer that no test has seen
# run. GPUs may multiply float32 matrices in fewer bits.
TOLERANCE = {torch.float32: 5e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}


def against(
    case: str,
    shape: Shape,
    device: str,
    quick: bool,
    machine: MachineLimits,
    field: Mapping[str, Peer] = PEERS,
    only: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    weigh: bool = True,
) -> Iterator[Row]:
    """Our row, and one for each peer: its time, or why there is none."""
    problem = draw(shape, device)
    works: dict[str, Work] = {"ours": peers.ours(problem)}
    missing: dict[str, str] = {}
    for name in (name for name in only or field if name not in leave_out):
        why = _missing(name, field[name], problem, device, quick)
        built = why or _build(field[name], problem, device)
        if isinstance(built, str):
            missing[name] = built
        else:
            works[name] = built
    rounds = QUICK_ROUNDS if quick or shape.columns >= 16384 else ROUNDS
    times = race(works, rounds, device)
    # Where freed memory is kept for later, what a call needs cannot be seen.
    weigh = weigh and not quick and (device == "cuda" or shape in WEIGHED) and not recycled()
    for name, seconds in times.items():
        limit = problem.least_seconds(machine) / seconds.median
        yield Row(
            case, str(shape), name, seconds, seconds.median / times["ours"].median, limit,
            _peak(name, works[name], shape, device) if weigh else None,
        )  # fmt: skip
    for name, why in missing.items():
        yield Row(case, str(shape), name, note=why)


def growth(
    case: str, shapes: Sequence[Shape], device: str, quick: bool, machine: MachineLimits
) -> Iterator[Row]:
    """Our rows alone, with what they are plotted against."""
    for shape in shapes:
        problem: Problem = draw(shape, device)
        rounds = QUICK_ROUNDS if quick else ROUNDS
        work = peers.ours(problem)
        seconds = race({"ours": work}, rounds, device)["ours"]
        who = "ours" if shape.order == "spatial" else "ours, random order"
        yield Row(
            case, str(shape), who, seconds, None, problem.least_seconds(machine) / seconds.median,
            None if quick else _peak("ours", work, shape, device),
            values={"edges": float(shape.columns * shape.degree), "columns": float(shape.columns)},
        )  # fmt: skip


def peer_work(name: str, shape: Shape, device: str) -> Callable[[], object]:
    """The work of a peer, for a process of its own."""
    build = peers.ours if name == "ours" else PEERS[name].build
    return partial(build(draw(shape, device)))


def _peak(name: str, work: Work, shape: Shape, device: str) -> float:
    return on_gpu(work) if device == "cuda" else peak(peer_work, name, shape, device)


def _missing(name: str, peer: Peer, problem: Problem, device: str, quick: bool) -> str:
    worth = COMPILED.get((name, device))
    if worth is not None and (quick or problem.shape not in worth):
        return "takes long to compile: timed in whole runs, at some shapes"
    return peer.missing(problem, device)


def _build(peer: Peer, problem: Problem, device: str) -> Work | str:
    """The work of a peer; or what is wrong with it, where it can only be tried when installed.

    Those come in versions that are not tested here: one that fails costs its own row only, and
    one that computes something else is not timed. Any may need more memory than a GPU has.
    """
    try:
        work = peer.build(problem)
        if peer.restore is None:
            if device == "cuda":
                work()
            return work
        theirs = [peer.restore(problem, grad) for grad in cast(tuple[Tensor, ...], work())]
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return "needs more memory than the GPU has"
    except Exception as error:
        if peer.restore is None:
            raise
        return f"fails: {type(error).__name__}: {' '.join(str(error).split())[:100]}"
    return _difference(problem, theirs) or work


def _difference(problem: Problem, theirs: Sequence[Tensor]) -> str:
    """Which gradient is not ours, and by how much; "" if all are. Three are those without bias."""
    ours = peers.ours_unbiased if len(theirs) == 3 else peers.ours
    expected = cast(tuple[Tensor, ...], ours(problem)())
    names = ("q", "k", "v", "bias")
    for name, mine, other in zip(names[: len(theirs)], expected, theirs, strict=True):
        mine, other = mine.float(), other.float()
        error = float((mine - other).abs().max() / mine.abs().max())
        if not error <= TOLERANCE[problem.shape.dtype]:  # NaN is an error too
            return f"not timed: its gradient of {name} is off by {error:.1g} of the largest"
    return ""
