"""Runs of networks with convolutions, norms and attention: statistics move, and resume."""

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.data import Dataset
from graphcolumns.learning import backprop, counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    FrozenNorm,
    Population,
    Projection,
    Reshape,
    TopDownAttention,
    TopDownBatchNorm,
    TopDownConv2d,
    TopDownEdges,
    TopDownNetwork,
)
from graphcolumns.training import train

OPTIONS = {"steps": 7, "batch_size": 8, "lr": 0.01, "progress": False, "checkpoint_every": 3}


class Killed(BaseException):
    pass


def kill(model, data):
    raise Killed


def complete(columns, sources):
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def build(norm, seed=0):
    torch.manual_seed(seed)
    image, columns = Population((4, 3, 3)), Population((6, 6), columns=True)
    flat = Population((6, 6), "identity", columns=True)
    populations = {
        "input": Population((1, 6, 6), "identity"),
        "conv": Population((4, 3, 3), "identity"),
        "image": image,
        "columns": flat,
        "attended": columns,
        "prediction": Population((3, 1), "identity", columns=True),
        "flat": Population((36, 1), "identity", columns=True),
    }
    links = [
        ("input", "conv", TopDownConv2d(1, 4, 3, stride=2, padding=1)),
        ("conv", "image", norm((4, 3, 3))),
        ("image", "columns", Reshape(image, flat)),
        ("columns", "attended", TopDownAttention(complete(6, 6), 6, 6, heads=2)),
        ("attended", "flat", Reshape(columns, populations["flat"])),
        ("flat", "prediction", TopDownEdges(complete(3, 36))),
    ]
    network = TopDownNetwork(populations, [Projection(*link) for link in links])
    return BottomUpTopDown(network, task=None)


def rows():
    generator = torch.Generator().manual_seed(1)
    inputs = 3 + 2 * torch.randn(48, 1, 6, 6, generator=generator)
    labels = torch.arange(48) % 3
    return Dataset(inputs[:32], labels[:32], inputs[32:], labels[32:], num_classes=3)


@pytest.mark.parametrize("norm", [FrozenNorm, TopDownBatchNorm])
def test_a_killed_run_ends_as_if_it_were_not(tmp_path, norm):
    model = build(norm)
    train(model, rows(), run=tmp_path / "whole", learn=counter_hebb, **OPTIONS)
    statistics = model.network.layers[1]
    assert (statistics.mean != 0).all()
    assert (statistics.variance != 1).all()
    more = {"learn": counter_hebb, "evaluate_every": 5, **OPTIONS}
    with pytest.raises(Killed):
        train(build(norm), rows(), run=tmp_path / "killed", metrics={"k": kill}, **more)
    # Statistics and the fixed maps of attention come from the checkpoint, too.
    resumed = build(norm, seed=9)
    train(resumed, rows(), run=tmp_path / "killed", resume=True, **more)
    state = model.state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_statistics_move_alike_by_both_rules(tmp_path):
    found = []
    for rule in (backprop, counter_hebb):
        model = build(FrozenNorm)
        train(model, rows(), run=tmp_path / rule.__name__, learn=rule, **OPTIONS | {"steps": 1})
        found.append(model.network.layers[1])
    assert (found[0].mean != 0).all()
    torch.testing.assert_close(found[1].mean, found[0].mean)
    torch.testing.assert_close(found[1].variance, found[0].variance)
