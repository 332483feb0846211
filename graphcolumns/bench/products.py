"""Untied products against the copy bandwidth, and the memory of a recurrence against its depth."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from graphcolumns.bench.clock import Limits, Work, race
from graphcolumns.bench.memory import peak
from graphcolumns.bench.problem import Shape, graph_of
from graphcolumns.bench.report import Row
from graphcolumns.bench.sheet_step import StepShape
from graphcolumns.geometry import Geometry
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.ops import untied_linear

DEPTHS = (1, 2, 4, 8, 16, 32)


def rows(shape: StepShape, device: str, rounds: int, machine: Limits) -> Iterator[Row]:
    """One untied linear map, forward and forward with backward, in shares of a copy's rate."""
    n, c, _, b, _ = shape
    weight = torch.randn(n, c, c, device=device, requires_grad=True)
    bias = torch.zeros(n, c, device=device, requires_grad=True)
    x = torch.randn(n, b, c, device=device, requires_grad=True)
    grad = torch.randn_like(x)

    def forward() -> None:
        with torch.no_grad():
            untied_linear(x, weight, bias)

    def both() -> None:
        torch.autograd.grad(untied_linear(x, weight, bias), (x, weight, bias), grad)

    # Weights are read once forward; read again, and their gradient written, backward.
    once, states = 4 * n * c * c, 4 * n * b * c
    least = {"forward": once + 2 * states, "forward and backward": 3 * once + 6 * states}
    times = race({"forward": forward, "forward and backward": both}, rounds, device)
    for name, seconds in times.items():
        limit = least[name] / machine.bytes_per_second / seconds.median
        yield Row("untied products", str(shape), f"ours, {name}", seconds, limit=limit)


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
    graph = graph_of(Shape(4096, 16, 8))
    points = torch.rand(4096, 2, generator=torch.Generator().manual_seed(0))
    geometry, _ = Geometry(points, unit="mm").reorder()
    model: Columnformer = sheet(
        geometry, graph, image_size=64, in_channels=1, num_classes=10, channels=16, heads=2,
        depth=depth, memory=memory,
    ).to(device)  # fmt: skip
    images = torch.randn(8, 1, 64, 64, device=device)

    def work() -> None:
        model(images).logits.square().mean().backward()
        model.zero_grad(set_to_none=True)

    return work
