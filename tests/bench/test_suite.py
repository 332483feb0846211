"""The suite runs, on shapes that take seconds, and writes what it measured."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from graphcolumns.bench import million, rewiring, run_suite, sheet_step
from graphcolumns.bench.clock import MachineLimits, Time, race
from graphcolumns.bench.memory import alone, peak
from graphcolumns.bench.problem import Shape, draw, graph_of_shape
from graphcolumns.bench.report import markdown, slope
from graphcolumns.bench.row import Row
from graphcolumns.bench.sheet_step import StepShape
from graphcolumns.cli import main

TINY = StepShape(32, 16, 4, 2, 2)


def test_a_race_is_interleaved():
    calls = []
    works = {name: lambda name=name: calls.append(name) for name in "abc"}
    times = race(works, rounds=3)
    assert calls[6:] == list("abcbcacab")  # after two calls of each
    assert set(times) == set("abc")
    assert all(0 <= time.low <= time.median <= time.high for time in times.values())


def test_limits_by_hand():
    """N=2, K=3, B=5, H=1, D=4: six edges, 40 numbers in each of q, k, v, out."""
    problem = draw(Shape(4, 3, 5, heads=1, width=4))
    assert problem.flops == (4 * 12 * 20, 14 * 12 * 20)
    state, edges = 4 * 20 * 4, 12
    assert problem.bytes == (
        4 * state + edges * 8 + 4 * 20,
        8 * state + edges * 20 + 8 * 20,
    )
    slow_copy, slow_product = MachineLimits(1.0, 1e30), MachineLimits(1e30, 1.0)
    assert problem.least_seconds(slow_copy) == sum(problem.bytes)
    assert problem.least_seconds(slow_product) == sum(problem.flops)


def test_random_order_has_the_same_edges():
    here, there = graph_of_shape(Shape(200, 8, 1)), graph_of_shape(Shape(200, 8, 1, "random"))
    assert torch.equal(here.distance.sort().values, there.distance.sort().values)
    span = [(g.source - g.target).abs().float().mean() for g in (here, there)]
    assert span[1] > 2 * span[0]


@pytest.mark.slow
def test_peak_memory_of_a_call():
    needed = peak(allocate, 2**26)
    assert 0.9 * 2**26 <= needed <= 1.5 * 2**26 or math.isnan(needed)


def allocate(count: int):
    return lambda: np.ones(count, dtype=np.uint8).sum()


def test_every_way_of_a_step_is_the_same_step():
    """Three ways of writing it: the state that comes out of the first one is the same."""
    states = []
    for name, build in sheet_step.STEPS.items():
        kept = []
        work = build(TINY)
        hook = torch.nn.modules.module.register_module_forward_hook(
            lambda module, inputs, output, kept=kept: (
                kept.append(output[0].detach()) if type(module).__name__ == "Column" else None
            )
        )
        work()
        work()  # after one step of the optimizer: gradients are the same too
        hook.remove()
        states.append((name, kept))
    for name, kept in states[1:]:
        assert len(kept) == 4, name
        for ours, theirs in zip(states[0][1], kept, strict=True):
            torch.testing.assert_close(theirs, ours, atol=2e-3, rtol=1e-3)


def test_tables():
    rows = [
        Row("a", "N=1", "ours", Time(0.001, 0.0005, 0.002), 1.0, 0.5, 2**20),
        Row("a", "N=1", "them", Time(0.003, 0.002, 0.004), 3.0, memory=3 * 2**30, note="slow"),
        Row("b", "N=1", "them", note="not installed"),
    ]
    text = markdown(rows)
    assert "| N=1 | ours | 1 ms | 0.5 to 2 | 1.00x | 50 % | 1 MiB |" in text
    assert "| N=1 | them (slow) | 3 ms | 2 to 4 | 3.00x |  | 3 GiB |" in text
    assert "| N=1 | them | not installed |  |  |  |  |" in text
    assert text.index("### a") < text.index("### b")


def test_slopes():
    rows = [
        Row("edges", "", "ours", Time(t, t, t), memory=m, values={"edges": e})
        for e, t, m in ((10.0, 1.0, 5.0), (100.0, 100.0, 50.0), (1000.0, 1e4, 500.0))
    ]
    assert slope(rows, "edges", lambda row: row.seconds.median) == pytest.approx(2)
    assert "ours: time grows as edges^2.00, peak memory as edges^1.00." in markdown(rows)


def test_files(tmp_path, capsys, monkeypatch):
    from graphcolumns.bench import suite

    monkeypatch.setattr(suite, "EDGES", [Shape(64, k, 1) for k in (2, 4, 8)])
    rows = run_suite(quick=True, cases=["edges"], out=tmp_path, progress=False)
    assert [row.values["edges"] for row in rows] == [128, 256, 512]
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert len(kept["rows"]) == 3
    assert kept["about"]["copy_gb_per_second"] > 0
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "### edges" in (tmp_path / "bench.md").read_text()
    assert "### edges" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.md", "bench.png"}


BARE = """
import sys
others = ("PIL", "hydra", "matplotlib", "nibabel", "omegaconf", "pandas", "plotly", "sklearn")
sys.modules |= dict.fromkeys((*others, "skimage", "torch_scatter", "torchvision", "trimesh"))
from graphcolumns.bench import command, suite
from graphcolumns.bench.problem import Shape
suite.EDGES = [Shape(64, degree, 1) for degree in (2, 4, 8)]
command.run_command(["--quick", "--case", "edges", "--out", sys.argv[1]])
"""


@pytest.mark.slow
def test_runs_with_torch_pyg_numpy_and_scipy_only(tmp_path):
    """A machine lent for measurements has no more; `None` in sys.modules is "not installed"."""
    command = [sys.executable, "-c", BARE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"bench.json", "bench.md"}


def test_a_small_million(monkeypatch):
    """Three thousand columns: the loss falls below that of the noisy image."""
    monkeypatch.setattr(million, "SIDE", 56)
    rows = list(million.million_rows("cpu", False, MachineLimits(1.0, 1.0)))
    works = ["connecting", "shared", "one", "mixture"]
    assert [row.who.split(" ")[0] for row in rows] == works
    for row in (rows[1], rows[3]):
        assert row.values["last_loss"] < 0.5 * row.values["first_loss"]
    assert rows[2].values["swaps"] > 0
    assert rows[2].values["last_loss"] < 0.5 * rows[1].values["first_loss"]


def test_an_update_changes_edges_and_their_state():
    size = rewiring.Size(256, degree=8, batch=2, depth=2, channels=16)
    update = rewiring.TimedUpdate(size)
    before = update.model.graph
    update.step()
    update()
    after = update.model.graph
    assert after.num_edges == before.num_edges
    assert not after.same_topology(before)
    assert len(update.model.column.attention.edge_bias.per_head) == after.num_edges
    assert list(update.seconds) == [
        "candidates", "scores", "choice", "new graph", "state of edges"
    ]  # fmt: skip
    assert all(seconds > 0 for seconds in update.seconds.values())
    update.step()  # the optimizer has come along


def test_rows_of_updates(monkeypatch):
    def measured(function, size, device, rounds):
        stages = {"candidates": 1.0, "scores": size.columns / 1024}
        return {"stages": [stages], "steps": [2.0], "cpu": [3.0], "memory": 2**30}

    monkeypatch.setattr(rewiring, "alone", measured)
    rows = list(rewiring.rewiring_rows("cpu", True, MachineLimits(1.0, 1.0)))
    assert [row.seconds.median for row in rows] == [5.0, 9.0]
    assert rows[0].note == "candidates 20%, scores 80%; 2.50 training steps"
    assert rows[0].values["rewiring"] == 4096 * 32 + 8 * round(0.1 * 4096 * 32)
    assert "an update: time grows as (edges + candidates)^0.85" in markdown(rows)
    monkeypatch.setattr(rewiring, "alone", lambda *x: None)
    assert next(rewiring.rewiring_rows("cpu", True, MachineLimits(1.0, 1.0))).note.startswith(
        "did not come to"
    )


@pytest.mark.slow
def test_alone_returns_what_a_function_returns():
    assert alone(sum, [1, 2]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cases": ["speed"]}, r"case must be one of shared_batch, .*, million\. Got 'speed'\."),
        ({"device": "tpu"}, r"device must be 'cpu' or 'cuda'\. Got 'tpu'\."),
    ],
)
def test_mistakes(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run_suite(out=tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


def test_command_lists_its_cases(capsys):
    assert main(["bench", "--help"]) == 0
    assert "million" in capsys.readouterr().out
