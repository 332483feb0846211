"""A sheet of a million columns, trained for a few steps: does it fit, and does the loss fall?

Then its edges are changed once, and it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from graphcolumns import connect, plasticity
from graphcolumns.bench.clock import MachineLimits, Time, wait
from graphcolumns.bench.memory import most
from graphcolumns.bench.row import Row
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import Column, EdgeBias
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.recurrence import run_step as step_of
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity.probe.trace import trace

SIDE, DEGREE, CHANNELS, DEPTH, STEPS, MORE = 1000, 32, 16, 2, 20, 5
NOISE = 0.5
# What is kept for the backward pass: mixed weights have activations of every shared set.
MEMORY = {"shared": "store", "mixture": "recompute"}
PROPOSAL = plasticity.Mixture([plasticity.TwoHop(), plasticity.Uniform()], [0.7, 0.3])
RULES = plasticity.Constraints(max_dropped=1, max_new=1)
FRACTION, PER_BIRTH = 0.01, 8  # of the edges, offered for a swap; candidates for each


class Denoiser(nn.Module):
    """A column per pixel; all of them read one image, and each answers with its clean pixel."""

    def __init__(self, graph: ColumnGraph, weights: str) -> None:
        super().__init__()
        count = graph.num_columns
        attention = ColumnAttention(
            count, CHANNELS, 1, weights=weights, edge_bias=EdgeBias(graph, 1)
        )
        self.graph, self.memory = graph, MEMORY[weights]
        self.embed, self.answer = nn.Linear(1, CHANNELS), nn.Linear(CHANNELS, 1)
        self.column = Column(count, attention, 2 * CHANNELS, weights=weights, norm_weights="shared")

    def forward(self, images: Tensor) -> Tensor:
        """From noisy pixels ``[B, N]`` to clean ones ``[B, N]``."""
        state = self.embed(images.T[..., None])
        for uses in self.column.unroll(DEPTH, len(images)):
            state, _ = step_of(self.memory, self.column, state, self.graph, None, uses)
        answer: Tensor = self.answer(state)
        return answer[..., 0].T

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes the new edges."""
        self.graph = graph


def million_rows(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """Connecting, then 20 training steps with shared and with mixed weights."""
    side = 100 if quick else SIDE
    start = time.perf_counter()
    graph = connect.nearest(_grid(side), DEGREE).to(device)
    seconds = time.perf_counter() - start
    shape = f"N={side**2} K={DEGREE} C={CHANNELS} B=1 T={DEPTH}"
    yield Row("million", shape, "connecting", Time(seconds, seconds, seconds))
    for weights in ("shared", "mixture"):
        yield from _train(graph, side, weights, shape, device)


def _train(graph: ColumnGraph, side: int, weights: str, shape: str, device: str) -> Iterator[Row]:
    torch.manual_seed(0)
    model = Denoiser(graph, weights).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, fused=True)
    clean = _image(side).to(device)[None]
    losses, times = [], []
    for _ in tqdm(range(STEPS), desc=f"million, {weights}", unit="step", leave=False):
        start = time.perf_counter()
        losses.append(_step(model, optimizer, clean))
        times.append(time.perf_counter() - start)
    low, middle, high = torch.tensor(times).quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    yield Row(
        "million", shape, f"{weights} weights, a training step", Time(middle, low, high),
        memory=most(device),
        note=f"loss {losses[0]:.3f} to {losses[-1]:.3f}, noise {NOISE**2:.3f}",
        values={"first_loss": losses[0], "last_loss": losses[-1]},
    )  # fmt: skip
    if weights == "shared":
        start = time.perf_counter()
        swaps = _rewire(model, optimizer, clean, side)
        wait(device)
        seconds = time.perf_counter() - start
        after = [_step(model, optimizer, clean) for _ in range(MORE)]
        yield Row(
            "million", shape, "one rewiring", Time(seconds, seconds, seconds), memory=most(device),
            note=f"{swaps} of {graph.num_edges} edges; loss {after[0]:.3f}, then {after[-1]:.3f}",
            values={"swaps": float(swaps), "loss_after": after[0], "last_loss": after[-1]},
        )  # fmt: skip


def _step(model: Denoiser, optimizer: torch.optim.Optimizer, clean: Tensor) -> float:
    loss = F.mse_loss(model(clean + NOISE * torch.randn_like(clean)), clean)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item()


def _rewire(model: Denoiser, optimizer: torch.optim.Optimizer, clean: Tensor, side: int) -> int:
    """Edges and candidates are scored one after the other, on fresh noise, and change places."""
    graph = model.graph
    noisy = clean + NOISE * torch.randn_like(clean)

    def seen(targets: Tensor, sources: Tensor) -> EdgeScores:
        return trace(model, noisy, clean, _loss_of_each, targets, sources)

    edges = seen(graph.target, graph.source)
    worth = edges.deletion / edges.samples
    del edges
    count = PER_BIRTH * round(FRACTION * graph.num_edges)
    pairs = plasticity.draw_candidates(graph, PROPOSAL, count, constraints=RULES)
    candidates = seen(*pairs)
    gain = -candidates.insertion / candidates.samples
    del candidates
    chosen = plasticity.select(
        graph, worth, pairs, gain, fraction=FRACTION, margin=0.0, constraints=RULES
    )
    rewiring = plasticity.rewire(graph, chosen.drop, (chosen.targets, chosen.sources), _grid(side))
    del worth, gain, pairs, graph
    plasticity.carry(rewiring, model, optimizer, state="median")
    return len(chosen.drop)


def _loss_of_each(answer: Tensor, clean: Tensor) -> Tensor:
    return (answer - clean).square().sum(1)


def _grid(side: int) -> Geometry:
    line = torch.arange(side).float()
    geometry, _ = Geometry(torch.cartesian_prod(line, line)).reorder()
    return geometry


def _image(side: int) -> Tensor:
    """A smooth picture of zero mean and unit variance, in the order of the columns."""
    places = _grid(side).positions / side
    wave = torch.sin(12 * places[:, 0]) * torch.cos(9 * places[:, 1]) + places.sum(1)
    return (wave - wave.mean()) / wave.std()
