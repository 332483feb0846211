"""A sheet of two streams learns by its own passes while its edges change, and is resumed."""

import json
from functools import partial

import pytest
import torch

from graphcolumns import checkpoint
from graphcolumns.analysis import report
from graphcolumns.data import Dataset
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.plasticity import presets, samplers
from graphcolumns.training import train
from tests.plasticity.support.two_streams import CLASSES, SHEET, samples, two_streams

FEW = {"every": 2, "stop": 1.0, "samples": 8, "fraction": 0.5}
RULES = {
    "rigl": partial(presets.rigl, check_samples=0, **FEW),
    "set": partial(presets.set, check_samples=0, **FEW),
    "exact": partial(presets.exact, check_samples=8, standard_errors=0.0, **FEW),
    "mest": partial(presets.mest, check_samples=0, **FEW),
}
OPTIONS = {"steps": 9, "batch_size": 8, "lr": 0.03, "progress": False, "checkpoint_every": 4}
OPTIONS |= {"geometry": {"sheet": SHEET}, "learn": counter_hebb, "weight_decay": 0.01}
FILES = ("edges.jsonl", "checkpoint/model.safetensors", "checkpoint/topology.safetensors")


def data() -> Dataset:
    inputs, labels = samples(48, torch.float32)
    first, last = ({name: x[part] for name, x in inputs.items()} for part in PARTS)
    return Dataset(first, labels[PARTS[0]], last, labels[PARTS[1]], num_classes=CLASSES)


PARTS = slice(32), slice(32, 48)


class Killed(BaseException):
    pass


def kill(model, data):
    raise Killed


@pytest.mark.parametrize(
    ("rule", "feedback"),
    [*((name, "tied") for name in RULES), ("rigl", "independent")],
)
def test_a_run_that_was_killed_ends_bit_for_bit(rule, feedback, tmp_path):
    options = OPTIONS | {"plasticity": {"sheet": RULES[rule]}}
    model = two_streams(feedback)
    train(model, data(), run=tmp_path / "whole", **options)
    killed = options | {"metrics": {"k": kill}, "evaluate_every": 7}
    with pytest.raises(Killed):
        train(two_streams(feedback), data(), run=tmp_path / "killed", **killed)
    again = two_streams(feedback, seed=9)
    train(again, data(), run=tmp_path / "killed", resume=True, evaluate_every=7, **options)
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    events = checkpoint.read_history(tmp_path / "whole", graph="sheet")
    assert len(events) == 5
    assert not model.graphs["sheet"].same_topology(two_streams().graphs["sheet"])
    assert all(map(torch.equal, model.parameters(), again.parameters()))


def test_a_run_gets_a_report(tmp_path):
    model = two_streams("independent")
    train(model, data(), run=tmp_path, plasticity={"sheet": RULES["rigl"]}, **OPTIONS)
    page = report.write(tmp_path, model=model, data=data(), geometry=SHEET)
    assert "bottom-up/top-down" in page.read_text()
    entries = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert sum("edges_born" in entry for entry in entries) == 4


def test_edges_are_scored_by_the_gradients_that_the_model_learns_from(tmp_path):
    grown = {}
    for name, rule in (("counter", partial(counter_hebb, noise=0.0)), ("backprop", backprop)):
        for scored_by in (None, "counter_hebb", "backprop"):
            model = two_streams("independent", scored_by=scored_by)
            options = OPTIONS | {"learn": rule}
            rules = {"sheet": partial(RULES["rigl"], sampler=samplers.everything)}
            folder = tmp_path / f"{name}-{scored_by}"
            train(model, data(), run=folder, plasticity=rules, **options)
            grown[name, scored_by] = model.graphs["sheet"]
    for name, own, other in (
        ("counter", "counter_hebb", "backprop"),
        ("backprop", "backprop", "counter_hebb"),
    ):
        assert grown[name, None].same_topology(grown[name, own])
        assert not grown[name, None].same_topology(grown[name, other])
