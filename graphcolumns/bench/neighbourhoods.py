"""Cases where neighbourhoods have a shape: windows of a grid, and near edges with far ones."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from graphcolumns.bench import peers
from graphcolumns.bench.clock import ROUNDS, MachineLimits, Work, race
from graphcolumns.bench.contest import QUICK_ROUNDS, against
from graphcolumns.bench.peers import PEERS, Peer
from graphcolumns.bench.problem import Problem, Shape, draw
from graphcolumns.bench.row import Row
from graphcolumns.bench.tiled.tiled_attention import tiled_attention
from graphcolumns.bench.tiled.windows import Windows
from graphcolumns.ops.column_attention import column_attention

HALF = torch.bfloat16
GRID = [Shape(1024, 7**2, 8, "grid")]
GRID_GPU = [
    Shape(256**2, 9**2, 1, "grid", 4, 32, HALF),
    Shape(256**2, 9**2, 1, "grid", 4, 64, HALF),
    Shape(128**2, 33**2, 1, "grid", 4, 32, HALF),
]
FAR = (0.0, 1 / 64, 6 / 64, 0.5, 1.0)  # of the in-edges
LONG_RANGE = [Shape(4096, 64, 8, far=far) for far in FAR]
LONG_RANGE_GPU = [Shape(65536, 64, 8, dtype=HALF, far=far) for far in FAR]


def grid(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Windows of a regular grid, which others are made for: expect to lose at large windows."""
    field = OURS | {name: PEERS[name] for name in ("NATTEN", "FlexAttention")}
    shapes = GRID_GPU if device == "cuda" else GRID
    for shape in shapes[:1] if quick else shapes:
        yield from against("grid", shape, device, quick, machine, field, weigh=False)


def long_range(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Near edges, and more and more that come from anywhere: rows against tiles against peers."""
    others = ("Anemoi", "FlexAttention", "torch.sparse")
    field = OURS | {"ours, tiles": TILES} | {name: PEERS[name] for name in others}
    shapes = LONG_RANGE_GPU if device == "cuda" else LONG_RANGE
    for shape in shapes[:1] if quick else shapes:
        rows = list(against("long_range", shape, device, quick, machine, field, weigh=False))
        yield from rows
        runs = any(row.who == "ours, tiles" and row.seconds for row in rows)
        yield from _forward(shape, device, quick, tiles=runs)


def tiled(problem: Problem) -> Work:
    """Forward in tiles, backward in rows: what ``column_attention`` does not choose."""
    p, windows = problem, Windows.of(problem.graph)

    def work() -> tuple[Tensor, ...]:
        out, _ = tiled_attention(p.q, p.k, p.v, p.graph, windows, bias=p.bias)
        return torch.autograd.grad(out, (p.q, p.k, p.v, p.bias), p.grad)

    return work


def _forward(shape: Shape, device: str, quick: bool, tiles: bool) -> Iterator[Row]:
    """The pass that tiles change, alone."""
    p = draw(shape, device)
    given, bias = (p.q.detach(), p.k.detach(), p.v.detach(), p.graph), p.bias.detach()
    works: dict[str, Work] = {"ours": partial(column_attention, *given, bias=bias)}
    notes = {"ours": ""}
    if tiles:
        windows = Windows.of(p.graph)
        works["ours, tiles"] = partial(tiled_attention, *given, windows, bias=bias)
        notes["ours, tiles"] = f"{windows.share():.0%} of the edges in tiles"
    times = race(works, QUICK_ROUNDS if quick else ROUNDS, device)
    for name, seconds in times.items():
        ratio = seconds.median / times["ours"].median
        yield Row("long_range, forward", str(shape), name, seconds, ratio, note=notes[name])


def _no_tiles(problem: Problem, device: str) -> str:
    return "" if device == "cuda" else "runs on CUDA only"


OURS = {"ours, no bias": Peer(peers.ours_unbiased)}
# Compared with our rows before it is timed, as peers are that run on GPUs only.
TILES = Peer(tiled, _no_tiles, lambda problem, grad: grad)
