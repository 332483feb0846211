"""Rules on geometries in models: a run starts, updates twice and resumes, or says why.

Every pair of a rule and a model and every pair of a geometry and a model is in the default run,
every pair of a rule and a geometry in the slow one, each in one of the models.
"""

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import sheet
from graphcolumns.models.staged_columnformer import staged
from graphcolumns.plasticity import criteria, presets, samplers
from graphcolumns.training import TERMS, train
from tests.conftest import GEOMETRIES, RULES
from tests.plasticity.support.nets import ConvNet
from tests.plasticity.test_mesh_parts import pieces

CORNERS = [
    pytest.param(pieces, id="pieces"),
    pytest.param(lambda: Geometry(torch.zeros(1, 2)), id="one column"),
]
PLACES = {param.id: param.values[0] for param in [*GEOMETRIES, *CORNERS]}
# An update after each of two steps; and every place where candidates come from.
SHARES = {
    "parts": [samplers.uniform, samplers.distance, samplers.two_hop, samplers.norms],
    "shares": [1.0, 1.0, 1.0, 1.0],
}
OTHERS = {
    "sernn": presets.sernn,
    "custom": partial(
        presets.custom, prune=criteria.length, grow=criteria.distance_kernel, stop=1.0, samples=16,
        check_samples=16, sampler=partial(samplers.mixture, **SHARES),
    ),
    "custom, exact": partial(
        presets.custom, prune=criteria.fisher_taylor, grow=criteria.insertion_gain,
        accept="net_gain", stop=1.0, samples=16, check_samples=16, first_value="epsilon",
        sampler=samplers.everything,
    ),
}  # fmt: skip
STILL = ("static", "sernn")
CHANGES = {
    name: make if name in STILL else partial(make, every=1)
    for name, make in ({param.id: param.values[0] for param in RULES} | OTHERS).items()
}
FALLING = ("gmp", "granet", "chts")  # from four in-edges per column
STEPS = 2


def graph_on(geometry: Geometry) -> ColumnGraph:
    """Up to four in-edges per column; on a mesh of small parts, what is near."""
    try:
        return connect.nearest(geometry, min(4, geometry.num_columns))
    except ValueError:
        return connect.within_radius(geometry, 0.7)


def columnformer(geometry: Geometry, graph: ColumnGraph):
    return sheet(
        geometry, graph, image_size=(1, geometry.num_columns), in_channels=1, num_classes=4,
        channels=4, depth=2, heads=2, attention={"edge_bias": "both"},
        weights={"attention": "shared"}, interface={"inputs": "first_sheet"},
        cost={"wiring": "distance" if geometry.learnable else None},
    )  # fmt: skip


def two_sheets(geometry: Geometry, graph: ColumnGraph):
    """The columns of the geometry, pooled by four others; lengths between sheets are not known."""
    n, top = geometry.num_columns, grid.sheet(2, 2)
    every = torch.arange(n)
    pool = ColumnGraph.from_edge_index(torch.stack([every, every % 4]), 4, n)
    lateral = [g.edge_index for g in (graph, connect.complete(top))]
    graphs = [ColumnGraph.from_edge_index(e, k) for e, k in zip(lateral, (n, 4), strict=True)]
    return staged(
        [top, top], graphs, [pool], image_size=(1, n), in_channels=1, num_classes=4, channels=4,
        depths=(1, 2), heads=2,
    )  # fmt: skip


MODELS: dict[str, Callable] = {
    "Columnformer": columnformer,
    "StagedColumnformer": two_sheets,
    "ColumnConv": lambda geometry, graph: ConvNet(graph),
}


def refusal(rule: str, place: str, model: str) -> str | None:
    """Why a combination cannot work; None if it works."""
    if place == "one column" and rule in FALLING:
        return "between 0 and all .* allowed pairs. Got 4 .mean_degree."
    if model != "StagedColumnformer":
        return None
    # Its graphs here have no lengths, and none of its columns has a bias per edge.
    unmet = {"wiring": "a budget of length needs a graph with distances",
             "mest": "this rule reads the weights of edges"}  # fmt: skip
    return unmet.get(rule)


def latin_square() -> list[tuple[str, str, str]]:
    """Every rule on every geometry once, the models in turn: so each meets each rule often."""
    models = list(MODELS)
    return [
        (rule, place, models[(i + j) % len(models)])
        for i, rule in enumerate(CHANGES)
        for j, place in enumerate(PLACES)
    ]


# Three at once would be three times as many; what fails, fails for two of the three.
EVERYTHING = latin_square()


def covering() -> list[tuple[str, str, str]]:
    """Every rule in every model and every geometry in every model, in as few runs as that takes."""
    rules, places = list(CHANGES), list(PLACES)
    runs = range(max(len(rules), len(places)))
    return [
        (rules[i % len(rules)], places[(i + 3 * shift) % len(places)], model)
        for shift, model in enumerate(MODELS)
        for i in runs
    ]


def task(columns: int) -> Dataset:
    """Images of one pixel per column."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(48) % 4
    images = torch.rand(48, 1, 1, columns, generator=generator)
    images[torch.arange(48), 0, 0, labels % columns] += 1
    return Dataset(images[:32], labels[:32], images[32:], labels[32:], 4)


def check(rule: str, place: str, model: str, folder: Path) -> None:
    geometry, _ = PLACES[place]().reorder()
    graph, data = graph_on(geometry), task(geometry.num_columns)
    options = {
        "steps": STEPS, "batch_size": 8, "progress": False, "checkpoint_every": 1,
        "evaluate_every": STEPS, "plasticity": CHANGES[rule],
        "geometry": {"stage0": geometry} if model == "StagedColumnformer" else geometry,
        "losses": {"wiring": (0.1, TERMS["wiring"])} if geometry.learnable else None,
    }  # fmt: skip
    if geometry.learnable and model != "Columnformer":
        options |= {"losses": None}

    def make():
        torch.manual_seed(0)
        return MODELS[model](geometry, graph)

    whole, killed = folder / "whole", folder / "killed"

    def leave(model, data) -> float:  # what a kill at the last step leaves behind
        if not killed.exists():
            shutil.copytree(whole, killed)
        return 0.0

    expected = refusal(rule, place, model)
    if expected is not None:
        with pytest.raises(ValueError, match=expected):
            train(make(), data, run=whole, metrics={"left": leave}, **options)
        assert not whole.exists()
        return
    summary = train(make(), data, run=whole, metrics={"left": leave}, **options)
    lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert summary["updates"] == sum("edges" in line for line in lines) == 2 * (rule not in STILL)
    assert summary.get("not_reached") is None, summary
    resumed = train(
        make(), data, run=killed, resume=True, metrics={"left": lambda *_: 0.0}, **options
    )
    assert resumed["edges"] == summary["edges"]
    names = ("checkpoint/model.safetensors", "checkpoint/topology.safetensors", "metrics.jsonl")
    for name in (*names, "edges.jsonl"):
        one, other = ((run / name).read_bytes() for run in (whole, killed))
        assert one == other, name


@pytest.mark.parametrize("case", covering(), ids="-".join)
def test_starts_updates_twice_and_resumes_or_says_why(case, tmp_path):
    check(*case, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", EVERYTHING, ids="-".join)
def test_every_rule_on_every_geometry(case, tmp_path):
    check(*case, tmp_path)


def test_the_short_matrix_leaves_no_pair_with_a_model_out():
    runs = covering()
    assert {(r, m) for r, _, m in runs} == {(r, m) for r in CHANGES for m in MODELS}
    assert {(g, m) for _, g, m in runs} == {(g, m) for g in PLACES for m in MODELS}
    assert all(re.compile(why) for run in EVERYTHING if (why := refusal(*run)))


def test_the_long_matrix_leaves_no_pair_out():
    for kinds in [(0, 1), (0, 2), (1, 2)]:
        every = {(a, b) for a in [CHANGES, PLACES, MODELS][kinds[0]]
                 for b in [CHANGES, PLACES, MODELS][kinds[1]]}  # fmt: skip
        assert {(run[kinds[0]], run[kinds[1]]) for run in EVERYTHING} == every
    # And every reason to refuse is met.
    reasons = {refusal(r, g, m) for r in CHANGES for g in PLACES for m in MODELS}
    assert {refusal(*run) for run in EVERYTHING} == reasons
