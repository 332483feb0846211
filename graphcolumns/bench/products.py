"""Untied products against those of torch, and the memory of a recurrence against its depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.bench.clock import ROUNDS, MachineLimits, Work, race
from graphcolumns.bench.contest import QUICK_ROUNDS
from graphcolumns.bench.memory import peak
from graphcolumns.bench.problem import Shape, graph_of_shape
from graphcolumns.bench.row import Row
from graphcolumns.geometry import Geometry
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.ops import untied_linear

DEPTHS = (1, 2, 4, 8, 16, 32)


class Maps(NamedTuple):
    """Sizes of one linear map per column: N, C, B."""

    columns: int
    channels: int
    batch: int

    def __str__(self) -> str:
        return f"N={self.columns} C={self.channels} B={self.batch}"


SHAPES = [
    Maps(4096, 64, 8), Maps(4096, 64, 1), Maps(4096, 64, 64), Maps(65536, 16, 8),
    Maps(16384, 32, 8), Maps(1024, 128, 8), Maps(192, 64, 8),
]  # fmt: skip
SHAPES_GPU = [Maps(4096, 64, 8), Maps(65536, 64, 32)]
STEPS = 8


def product_rows(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Untied linear maps against the batched products of torch, in shares of a copy's rate.

    Used once, forward and with the backward pass; and at every step of a recurrence, where torch
    forms a gradient of the weights per step and adds it up.
    """
    shapes = SHAPES_GPU if device == "cuda" else SHAPES
    for shape in [Maps(512, 32, 8)] if quick else shapes:
        inputs = _draw(shape, device)
        for kind, least in _least_bytes(shape).items():
            works = {who: _works(inputs, who)[kind] for who in ("ours", "torch")}
            times = race(works, QUICK_ROUNDS if quick else ROUNDS, device)
            for who, seconds in times.items():
                ratio = seconds.median / times["ours"].median
                limit = least / machine.bytes_per_second / seconds.median
                yield Row("untied products", f"{shape}, {kind}", who, seconds, ratio, limit)


def _draw(shape: Maps, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Input, weights, biases, and the gradient that arrives."""
    n, c, b = shape
    sizes = [(n, b, c), (n, c, c), (n, c)]
    x, weight, bias = (torch.randn(size, device=device, requires_grad=True) for size in sizes)
    return x, weight, bias, torch.randn_like(x)


def _works(inputs: tuple[Tensor, Tensor, Tensor, Tensor], who: str) -> dict[str, Work]:
    x, weight, bias, grad = inputs
    backend = "auto" if who == "ours" else "reference"

    def forward() -> None:
        with torch.no_grad():
            untied_linear(x, weight, bias, backend=backend)

    def backward() -> None:
        y = untied_linear(x, weight, bias, backend=backend)
        torch.autograd.grad(y, (x, weight, bias), grad)

    def recurrence() -> None:
        y = x
        if who == "ours":
            for step in untied_linear.unroll(weight, bias, STEPS, x.shape[1]):  # type: ignore[attr-defined]
                y = untied_linear(y, weight, bias, step=step)
        else:
            for _ in range(STEPS):
                y = untied_linear(y, weight, bias, backend=backend)
        torch.autograd.grad(y, (x, weight, bias), grad)

    return {"forward": forward, "with backward": backward, f"{STEPS} steps": recurrence}


def _least_bytes(shape: Maps) -> dict[str, int]:
    """Weights are read once forward, read again backward, and their gradient is written once."""
    n, c, b = shape
    weights, states = 4 * n * c * c, 4 * n * b * c
    once = {"forward": weights + 2 * states, "with backward": 3 * weights + 5 * states}
    return once | {f"{STEPS} steps": (2 * STEPS + 1) * weights + 5 * STEPS * states}


def depth_rows(device: str, quick: bool) -> Iterator[Row]:
    """Peak memory of a training step of a columnformer of growing depth."""
    for memory in ("store", "recompute"):
        for depth in DEPTHS[:3] if quick else DEPTHS:
            work = recurrence(depth, memory, device)
            seconds = race({"ours": work}, 3, device)["ours"]
            needed = peak(recurrence, depth, memory, device, device=device)
            shape = f"N=4096 C=16 K=16 B=8 T={depth}"
            yield Row(
                "memory", shape, memory, seconds, memory=needed, values={"depth": float(depth)}
            )


def recurrence(depth: int, memory: str, device: str) -> Work:
    """Forward and backward of a columnformer on 64 x 64 columns."""
    torch.manual_seed(0)
    graph = graph_of_shape(Shape(4096, 16, 8))
    points = torch.rand(4096, 2, generator=torch.Generator().manual_seed(0))
    geometry, _ = Geometry(points, unit="mm").reorder()
    model: Columnformer = sheet(
        geometry, graph, image_size=64, in_channels=1, num_classes=10, channels=16, heads=2,
        depth=depth, cost={"memory": memory},
    ).to(device)  # fmt: skip
    images = torch.randn(8, 1, 64, 64, device=device)

    def work() -> None:
        model(images).prediction.square().mean().backward()
        model.zero_grad(set_to_none=True)

    return work
