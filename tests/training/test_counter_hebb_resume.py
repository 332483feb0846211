"""Runs by Counter-Hebbian learning that are killed end bit for bit as if they were not."""

from functools import partial

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.data import Dataset
from graphcolumns.learning import counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import Population, Projection, TopDownEdges, TopDownNetwork
from graphcolumns.training import train
from graphcolumns.training.try_learning import try_learning

OPTIONS = {"steps": 7, "batch_size": 8, "lr": 0.01, "progress": False, "checkpoint_every": 3}
CASES = [
    ("copied", {"noise": 0.1, "decay": 0.01}),
    ("independent", {"top_down": "weight_mirror"}),
    ("direct", {"top_down": "direct"}),
    ("sign_redrawn", {}),
]


class Killed(BaseException):
    pass


def kill(model, data):
    raise Killed


def complete(columns, sources):
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def build(feedback, seed=0):
    torch.manual_seed(seed)
    populations = {
        "input": Population((6, 1), "identity", columns=True),
        "hidden": Population((10, 1), columns=True),
        "prediction": Population((3, 1), "identity", columns=True),
    }
    projections = [
        Projection("input", "hidden", TopDownEdges(complete(10, 6), feedback=feedback)),
        Projection("hidden", "prediction", TopDownEdges(complete(3, 10), feedback=feedback)),
    ]
    return BottomUpTopDown(TopDownNetwork(populations, projections), task=None)


def rows():
    generator = torch.Generator().manual_seed(1)
    inputs, labels = torch.randn(48, 6, generator=generator), torch.arange(48) % 3
    return Dataset(inputs[:32], labels[:32], inputs[32:], labels[32:], num_classes=3)


@pytest.mark.parametrize(("feedback", "options"), CASES, ids=lambda case: str(case))
def test_a_killed_run_ends_as_if_it_were_not(tmp_path, feedback, options):
    learn = partial(counter_hebb, **options)
    model = build(feedback)
    train(model, rows(), run=tmp_path / "whole", learn=learn, **OPTIONS)
    with pytest.raises(Killed):
        train(
            build(feedback), rows(), run=tmp_path / "killed", learn=learn,
            metrics={"k": kill}, evaluate_every=5, **OPTIONS,
        )  # fmt: skip
    # Weights, matrices and magnitudes come from the checkpoint, not from the seed of the model.
    resumed = build(feedback, seed=9)
    more = {"resume": True, "evaluate_every": 5}
    train(resumed, rows(), run=tmp_path / "killed", learn=learn, **more, **OPTIONS)
    name = "checkpoint/model.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    state = model.state_dict()
    assert ("direct_feedback.matrix0" in state) == (feedback == "direct")
    for parameter, value in resumed.state_dict().items():
        assert torch.equal(value, state[parameter])


def test_what_cannot_learn_fails_before_anything_is_written(tmp_path):
    activity = {"activity": (0.1, lambda model, output, y: output.state.abs().mean())}
    cases = [
        ({"learn": partial(counter_hebb, top_down="fixed")}, "weights of their own"),
        ({"learn": partial(counter_hebb, top_down="direct")}, "feedback='direct'"),
        ({"learn": counter_hebb, "losses": activity}, "Got 'activity'"),
        ({"learn": counter_hebb, "amp": "bfloat16"}, "half precision"),
    ]
    for place, (options, message) in enumerate(cases):
        with pytest.raises(ValueError, match=message):
            train(build("tied"), rows(), run=tmp_path / str(place), **options, **OPTIONS)
    assert not list(tmp_path.iterdir())


def test_a_trial_leaves_magnitudes_and_gradients_as_they_are():
    model = build("sign_redrawn")
    before = model.network.layers[0].top_down_magnitude
    values = before.clone()
    terms = {"task": (1.0, lambda model, output, y: output.prediction.square().mean())}
    try_learning(model, rows(), terms, counter_hebb)
    assert model.network.layers[0].top_down_magnitude is before
    assert torch.equal(before, values)
    assert all(p.grad is None for p in model.parameters())
