"""One update of the edges of a sheet: what it costs, stage by stage, and how the cost grows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns import plasticity
from graphcolumns.bench.clock import MachineLimits, Time, wait
from graphcolumns.bench.memory import alone, most
from graphcolumns.bench.problem import Shape, geometry_of, graph_of_shape
from graphcolumns.bench.row import Row
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import Column, EdgeBias
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.plasticity import Mixture, TwoHop, Uniform, criteria
from graphcolumns.plasticity.probe.evidence import Probe

FRACTION, PER_BIRTH = 0.1, 8  # of the edges, offered for a swap; candidates for each
RULES = plasticity.Constraints(min_in=4, max_in=64, max_new=8, max_dropped=8)
PROPOSAL = Mixture([TwoHop(), Uniform()], [0.7, 0.3])
COLUMNS = (4096, 8192, 16384, 32768, 65536)
ROUNDS = 3


class Size(NamedTuple):
    """Sizes of an update."""

    columns: int  # N
    degree: int = 32  # K, in-edges per column
    batch: int = 8  # B, samples that score the edges, one at a time
    depth: int = 4  # T
    heads: int = 4
    channels: int = 64

    def __str__(self) -> str:
        n, k, b, t, h, c = self
        return f"N={n} K={k} B={b} T={t} H={h} D={c // h}"

    @property
    def candidates(self) -> int:
        """Pairs that are offered for growth."""
        return PER_BIRTH * round(FRACTION * self.columns * self.degree)


class Sheet(nn.Module):
    """Recurrent columns that share their weights, with a score per edge and head."""

    def __init__(self, size: Size, graph: ColumnGraph) -> None:
        super().__init__()
        n, c = size.columns, size.channels
        bias = EdgeBias(graph, size.heads, common=False, per_head=True, std=0.5)
        attention = ColumnAttention(n, c, size.heads, weights="shared", edge_bias=bias)
        self.graph, self.depth = graph, size.depth
        self.column = Column(n, attention, 2 * c, weights="shared", norm_weights="shared")

    def forward(self, x: Tensor) -> Tensor:
        """From ``[B, N, C]`` to ``[B, N, C]``."""
        state = x.transpose(0, 1)
        for _ in range(self.depth):
            state, _ = self.column(state, self.graph)
        return state.transpose(0, 1)

    def rewired(self, graph: ColumnGraph) -> None:
        """Takes the new edges."""
        self.graph = graph


def losses(output: Tensor, wanted: Tensor) -> Tensor:
    """One per sample."""
    return (output - wanted).square().mean((1, 2))


class TimedUpdate:
    """A sheet, and one update of its edges per call."""

    def __init__(self, size: Size, device: str = "cpu") -> None:
        torch.manual_seed(0)
        shape = Shape(size.columns, size.degree, size.batch)
        self.size, self.count, self.seconds = size, 0, dict[str, float]()
        self.geometry = geometry_of(shape)
        self.model = Sheet(size, graph_of_shape(shape)).to(device)
        per_edge = plasticity.edge_parameters(self.model)
        others = [p for p in self.model.parameters() if not any(p is q for q in per_edge)]
        groups = [{"params": others}, {"params": per_edge, "edges": True}]
        self.optimizer = plasticity.EdgeAdamW(groups, lr=1e-3)
        sizes = (size.batch, size.columns, size.channels)
        self.inputs, self.wanted = (torch.randn(sizes, device=device) for _ in range(2))
        self.device = device

    def step(self) -> None:
        """A training step on the same samples, one at a time as in the update."""
        for x, y in zip(self.inputs.split(1), self.wanted.split(1), strict=True):
            losses(self.model(x), y).mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def __call__(self) -> None:
        """Candidates, scores of edges and candidates, the choice, the new graph, its state."""
        self._start = time.perf_counter()
        self.count += 1
        graph = self.model.graph
        pairs = plasticity.draw_candidates(
            graph, PROPOSAL, self.size.candidates, update=self.count, constraints=RULES
        )
        self._stage("candidates")
        worth, gain = self._scores(pairs)
        self._stage("scores")
        chosen = plasticity.select(
            graph, worth, pairs, gain, fraction=FRACTION, constraints=RULES, margin=0.0
        )
        self._stage("choice")
        born = chosen.targets, chosen.sources
        rewiring = plasticity.rewire(graph, chosen.drop, born, self.geometry)
        self._stage("new graph")
        plasticity.carry(rewiring, self.model, self.optimizer)
        self._stage("state of edges")

    def _scores(self, pairs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        probe = Probe(self.model, None, self.inputs, self.wanted, losses, slice_size=1)
        edges, others = probe.edges(), probe.candidates(*pairs)
        worth = criteria.fisher_taylor(edges, curvature="labels")
        gain = criteria.insertion_gain(others)
        # What would raise the loss never grows.
        return worth, torch.where(gain > 0, gain, float("-inf"))

    def _stage(self, name: str) -> None:
        wait(self.device)
        now = time.perf_counter()
        self.seconds[name], self._start = now - self._start, now


def rewiring_rows(device: str, quick: bool, machine: MachineLimits) -> Iterator[Row]:
    """A row per size, each measured in a process of its own: time, and its whole memory."""
    for columns in COLUMNS[:2] if quick else COLUMNS:
        size = Size(columns)
        found = alone(measure, size, device, 1 if quick else ROUNDS)
        failed = Row("rewiring", str(size), "an update", note="did not come to an end: memory?")
        yield failed if found is None else _row(size, found)


def measure(size: Size, device: str, rounds: int) -> dict[str, Any]:
    """Seconds of every stage in every round, peak memory, seconds of a training step."""
    update = TimedUpdate(size, device)
    update.step()  # kernels are compiled, moments are there
    update()
    stages, steps, cpu = [], [], []
    for _ in range(rounds):
        start = time.process_time()
        update()
        cpu.append(time.process_time() - start)
        stages.append(dict(update.seconds))
        start = time.perf_counter()
        update.step()
        wait(device)
        steps.append(time.perf_counter() - start)
    return {"stages": stages, "steps": steps, "cpu": cpu, "memory": most(device)}


def _row(size: Size, found: dict[str, Any]) -> Row:
    stages: list[dict[str, float]] = found["stages"]
    quarters = torch.tensor([0.25, 0.5, 0.75])
    low, middle, high = torch.tensor([sum(s.values()) for s in stages]).quantile(quarters).tolist()
    shares = {name: sum(s[name] for s in stages) for name in stages[0]}
    total = sum(shares.values())
    parts = ", ".join(f"{name} {share / total:.0%}" for name, share in shares.items())
    step = float(torch.tensor(found["steps"]).median())
    return Row(
        "rewiring", str(size), "an update", Time(middle, low, high), memory=found["memory"],
        note=f"{parts}; {middle / step:.2f} training steps",
        values={
            "rewiring": float(size.columns * size.degree + size.candidates),
            "cpu_seconds": float(torch.tensor(found["cpu"]).median()),
            "training_step": step,
        },
    )  # fmt: skip
