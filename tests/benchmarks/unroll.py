"""Time-batched weight gradients against autograd: a Markdown table of time and memory ratios.

    OMP_WAIT_POLICY=passive python tests/benchmarks/unroll.py > docs/measurements/unroll.md

Both forms run in one process, interleaved. Every ratio is autograd over `untied_linear.unroll`, so
more is better: of median times, and of the peaks of memory that torch's allocator hands out.
"""

import argparse
import itertools
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from graphcolumns import untied_linear

Weights = list[tuple[Tensor, Tensor]]
Point = tuple[int, int, int, int]  # N, C, B, T

MAIN: Point = (4096, 64, 8, 8)
GRID: list[Point] = [
    (columns, channels, batch, steps)
    for columns, channels in ((192, 4), (192, 64), (4096, 4), (4096, 16), (1024, 64))
    for batch in (1, 8, 64)
    for steps in (1, 2, 8, 32)
]


def apply(unrolled: bool, weights: Weights, steps: int, batch: int) -> Iterator[list[Callable]]:
    """The linear maps of every step."""
    handles = [
        untied_linear.unroll(w, b, steps, batch) if unrolled else [None] * steps for w, b in weights
    ]
    for taken in zip(*handles, strict=True):
        yield [
            lambda x, w=w, b=b, step=step: untied_linear(x, w, b, step=step)
            for (w, b), step in zip(weights, taken, strict=True)
        ]


class WeightGradients:
    """The gradients of one weight from T given pairs of inputs and output gradients."""

    linears = 1

    def __init__(self, point: Point) -> None:
        self.columns, self.channels, self.batch, self.steps = point
        shape = (self.columns, self.batch, self.channels)
        self.pairs = [(torch.randn(shape), torch.randn(shape)) for _ in range(self.steps)]

    def forward(self, unrolled: bool, weights: Weights) -> list[Tensor]:
        maps = apply(unrolled, weights, self.steps, self.batch)
        return [linear(x) for (x, _), (linear,) in zip(self.pairs, maps, strict=True)]

    def backward(self, outputs: list[Tensor]) -> None:
        torch.autograd.backward(outputs, [dy for _, dy in self.pairs])


class Linears:
    """T linear maps in a row, forward and backward."""

    linears = 1

    def __init__(self, point: Point) -> None:
        self.columns, self.channels, self.batch, self.steps = point
        self.x = torch.randn(self.columns, self.batch, self.channels, requires_grad=True)
        self.dy = torch.randn(self.columns, self.batch, self.channels)

    def step(self, x: Tensor, maps: list[Callable]) -> Tensor:
        return maps[0](x)

    def forward(self, unrolled: bool, weights: Weights) -> list[Tensor]:
        x = self.x
        for maps in apply(unrolled, weights, self.steps, self.batch):
            x = self.step(x, maps)
        return [x]

    def backward(self, outputs: list[Tensor]) -> None:
        torch.autograd.backward(outputs, [self.dy])


class Recurrence(Linears):
    """T steps of a gated block with six linear maps, forward and backward."""

    linears = 6

    def step(self, x: Tensor, maps: list[Callable]) -> Tensor:
        query, key, value, out, hidden, mlp = maps
        x = x + out(torch.sigmoid(query(x) * key(x)) * value(x))
        return x + mlp(torch.nn.functional.gelu(hidden(x)))


WORKLOADS = {"weight gradients": WeightGradients, "linears": Linears, "six linears": Recurrence}


def draw(work: WeightGradients | Linears) -> Weights:
    std = work.channels**-0.5 / 2
    shape = (work.columns, work.channels, work.channels)
    return [
        (
            (std * torch.randn(shape)).requires_grad_(),
            torch.zeros(work.columns, work.channels, requires_grad=True),
        )
        for _ in range(work.linears)
    ]


def run(work: WeightGradients | Linears, unrolled: bool, weights: Weights) -> float:
    """Seconds of one forward and backward pass, or of the backward pass alone."""
    for tensor in itertools.chain(*weights):
        tensor.grad = None
    start = time.perf_counter()
    outputs = work.forward(unrolled, weights)
    if isinstance(work, WeightGradients):
        start = time.perf_counter()
    work.backward(outputs)
    return time.perf_counter() - start


def time_ratio(name: str, point: Point, rounds: int, window: float = 0.05) -> float:
    """Autograd over unroll, medians of interleaved rounds of at least ``window`` seconds each."""
    work = WORKLOADS[name](point)
    weights = draw(work)
    once = max(run(work, unrolled, weights) for unrolled in (False, True, False, True))
    repeats = max(1, int(window / once))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for index in range(rounds):
        for unrolled in (False, True) if index % 2 else (True, False):
            times = [run(work, unrolled, weights) for _ in range(repeats)]
            seconds[unrolled].append(sum(times))
    return statistics.median(seconds[False]) / statistics.median(seconds[True])


def peak(name: str, point: Point, unrolled: bool) -> int:
    """Most bytes allocated at once during a pass, beyond weights and inputs."""
    work = WORKLOADS[name](point)
    weights = draw(work)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run(work, unrolled, weights)
    events = recorded.profiler.kineto_results.events()
    changes = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    return max(itertools.accumulate(nbytes for _, nbytes in sorted(changes, key=lambda c: c[0])))


def memory_ratio(name: str, point: Point) -> float:
    return peak(name, point, unrolled=False) / peak(name, point, unrolled=True)


def gathered(point: Point) -> bool:
    """Whether the handles gather their gradients, or leave them to autograd."""
    columns, channels, batch, steps = point
    weight = torch.empty(columns, channels, channels, requires_grad=True)
    return untied_linear.unroll(weight, None, steps, batch)[0].batched


def table(points: list[Point], rounds: int) -> Iterator[str]:
    names = list(WORKLOADS)
    columns = " | ".join(f"{name}: time | memory" for name in names)
    yield f"| N | C | B | T | gathered | {columns} |"
    yield "|" + "---:|" * (5 + 2 * len(names))
    for point in points:
        cells = ["yes" if gathered(point) else "no"]
        for name in names:
            ratio = time_ratio(name, point, rounds)
            if ratio < 0.97:  # noise is symmetric; a loss that stays is not noise
                ratio = time_ratio(name, point, 3 * rounds, window=0.2)
            cells += [f"{ratio:.2f}", f"{memory_ratio(name, point):.2f}"]
        yield f"| {' | '.join(map(str, point))} | {' | '.join(cells)} |"


def hardware() -> str:
    with open("/proc/cpuinfo") as file:
        model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return f"{model}, {torch.get_num_threads()} threads, {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--points", choices=("main", "grid", "all"), default="all")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    points = {"main": [MAIN], "grid": GRID, "all": [MAIN, *GRID]}[arguments.points]
    print(f"{hardware()}, torch {torch.__version__}\n", flush=True)
    print(
        "Where gradients are not gathered, both forms run the same products: that is the noise.\n"
    )
    for line in table(points, arguments.rounds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
