"""A sheet of a million columns, trained for a few steps: does it fit, and does the loss fall?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from graphcolumns import connect
from graphcolumns.bench.clock import Limits, Time
from graphcolumns.bench.memory import resident
from graphcolumns.bench.report import Row
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import Column, EdgeBias
from graphcolumns.nn.attention import ColumnAttention

SIDE, DEGREE, CHANNELS, DEPTH, STEPS = 1000, 32, 16, 2, 20
NOISE = 0.5


class Denoiser(nn.Module):
    """A column per pixel; all of them read one image, and each answers with its clean pixel."""

    def __init__(self, graph: ColumnGraph, weights: str) -> None:
        super().__init__()
        count = graph.num_columns
        attention = ColumnAttention(
            count, CHANNELS, 1, weights=weights, edge_bias=EdgeBias(graph, 1)
        )
        self.graph = graph
        self.embed, self.answer = nn.Linear(1, CHANNELS), nn.Linear(CHANNELS, 1)
        self.column = Column(count, attention, 2 * CHANNELS, weights=weights, norm_weights="shared")

    def forward(self, image: Tensor) -> Tensor:
        """From noisy pixels `[N]` to clean ones `[N]`."""
        state = self.embed(image[:, None, None])
        for uses in self.column.unroll(DEPTH, 1):
            state, _ = self.column(state, self.graph, None, uses)
        answer: Tensor = self.answer(state)
        return answer[:, 0, 0]


def rows(device: str, quick: bool, machine: Limits) -> Iterator[Row]:
    """Connecting, then 20 training steps with shared and with mixed weights."""
    side = 100 if quick else SIDE
    start = time.perf_counter()
    graph = connect.nearest(_grid(side), DEGREE).to(device)
    seconds = time.perf_counter() - start
    shape = f"N={side**2} K={DEGREE} C={CHANNELS} B=1 T={DEPTH}"
    yield Row("million", shape, "connecting", Time(seconds, seconds, seconds))
    for weights in ("shared", "mixture"):
        yield _train(graph, side, weights, shape, device)


def _train(graph: ColumnGraph, side: int, weights: str, shape: str, device: str) -> Row:
    torch.manual_seed(0)
    model = Denoiser(graph, weights).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, fused=True)
    clean = _image(side).to(device)
    losses, times = [], []
    for _ in tqdm(range(STEPS), desc=f"million, {weights}", unit="step", leave=False):
        start = time.perf_counter()
        noisy = clean + NOISE * torch.randn_like(clean)
        loss = F.mse_loss(model(noisy), clean)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        times.append(time.perf_counter() - start)
    low, middle, high = torch.tensor(times).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    return Row(
        "million", shape, f"{weights} weights, a training step", Time(middle, low, high),
        memory=_peak(device),
        note=f"loss {losses[0]:.3f} to {losses[-1]:.3f}, noise {NOISE**2:.3f}",
        values={"first_loss": losses[0], "last_loss": losses[-1]},
    )  # fmt: skip


def _peak(device: str) -> float:
    """Of the whole process so far: graph, weights, moments and activations."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    return float(resident("VmHWM"))


def _grid(side: int) -> Geometry:
    line = torch.arange(side).float()
    geometry, _ = Geometry(torch.cartesian_prod(line, line)).reorder()
    return geometry


def _image(side: int) -> Tensor:
    """A smooth picture of zero mean and unit variance, in the order of the columns."""
    places = _grid(side).positions / side
    wave = torch.sin(12 * places[:, 0]) * torch.cos(9 * places[:, 1]) + places.sum(1)
    return (wave - wave.mean()) / wave.std()
