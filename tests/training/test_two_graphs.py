"""A model with two graphs trains, each graph under its own rule, and is resumed."""

import json
from functools import partial

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, checkpoint
from graphcolumns.data import Dataset
from graphcolumns.plasticity import presets
from graphcolumns.training import train
from tests.plasticity.test_two_graphs import EQUAL, FAR, NEAR, Two

OPTIONS = {"steps": 9, "batch_size": 8, "lr": 0.03, "progress": False, "geometry": grid.sheet(3, 4)}
RULES = {
    "near": partial(presets.set, every=3, samples=8, check_samples=0, stop=1.0),
    "far": partial(presets.rigl, every=2, samples=8, check_samples=8, stop=1.0),
}


def rows() -> Dataset:
    generator = torch.Generator().manual_seed(1)
    inputs, labels = torch.randn(48, 12, generator=generator), torch.arange(48) % 3
    return Dataset(inputs[:32], labels[:32], inputs[32:], labels[32:], num_classes=3)


def two(seed: int = 0, graphs: tuple[ColumnGraph, ColumnGraph] = (NEAR, FAR)) -> Two:
    torch.manual_seed(seed)
    return Two(*graphs)


@pytest.fixture(scope="module", params=[(NEAR, FAR), EQUAL], ids=["different", "equal"])
def whole(request, tmp_path_factory):
    run = tmp_path_factory.mktemp("two") / "whole"
    model = two(graphs=request.param)
    summary = train(model, rows(), run=run, plasticity=RULES, checkpoint_every=4, **OPTIONS)
    return run, model, summary, request.param


def test_history_and_topology_of_each_graph_are_kept(whole):
    run, model, summary, first = whole
    topology = checkpoint.read_topology(run)
    assert list(topology.graphs) == ["near", "far"]
    for name, updates in (("near", 3), ("far", 4)):
        events = checkpoint.read_history(run, graph=name)
        assert len(events) == updates + 1
        last = checkpoint.replay(events, 12)
        assert last.same_topology(model.graphs[name])
        assert last.same_topology(topology.graphs[name])
    assert not model.graphs["near"].same_topology(model.graphs["far"])
    assert not any(model.graphs[graph.name].same_graph(graph) for graph in first if graph.name)
    assert len(checkpoint.read_history(run)) == 4
    assert (summary["updates"], summary["far/updates"]) == (3, 4)


def test_metrics_of_the_second_graph_have_its_name(whole):
    entries = [json.loads(line) for line in (whole[0] / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "edges_born" in entry] == [3, 6, 9]
    assert [entry["step"] for entry in entries if "far/edges_born" in entry] == [2, 4, 6, 8]


def test_resumed_run_ends_bit_for_bit(whole, tmp_path):
    class Killed(BaseException):
        pass

    def kill(model, data):
        raise Killed

    options = {"plasticity": RULES, "checkpoint_every": 4, **OPTIONS}
    with pytest.raises(Killed):
        train(
            two(0, whole[3]), rows(), run=tmp_path, metrics={"k": kill}, evaluate_every=7, **options
        )
    train(two(9, whole[3]), rows(), run=tmp_path, resume=True, evaluate_every=7, **options)
    for name in ("edges.jsonl", "checkpoint/model.safetensors", "checkpoint/topology.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole[0] / name).read_bytes(), name


def test_the_first_graph_changes_as_without_a_rule_on_the_second(tmp_path):
    for name, rules in (("plain", RULES["near"]), ("named", {"near": RULES["near"]})):
        train(two(), rows(), run=tmp_path / name, plasticity=rules, **OPTIONS)
    for name in ("edges.jsonl", "metrics.jsonl", "checkpoint/model.safetensors"):
        plain, named = ((tmp_path / run / name).read_bytes() for run in ("plain", "named"))
        assert plain == named


def test_other_graphs_are_refused(whole, tmp_path):
    with pytest.raises(ValueError, match=r"Expected 'near', 'far'. Got 'wide'"):
        train(two(), rows(), run=tmp_path, plasticity={"wide": presets.set}, **OPTIONS)
    reserved = {"near": RULES["near"], "far": partial(RULES["far"], reserve=0.5)}
    with pytest.raises(ValueError, match=r"Got reserve=0.0, 0.5"):
        train(two(), rows(), run=tmp_path, plasticity=reserved, **OPTIONS)
    with pytest.raises(ValueError, match=r"plasticity was|plasticity.*"):
        train(
            two(0, whole[3]),
            rows(),
            run=whole[0],
            plasticity={"far": RULES["far"]},
            resume=True,
            **OPTIONS,
        )
