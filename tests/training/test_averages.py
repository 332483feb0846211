"""Moving averages while training: brought along when edges change, resumed bit for bit."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from graphcolumns import checkpoint
from graphcolumns.training import train
from tests.plasticity.support.learners import learner, rows
from tests.training.test_rewiring import OPTIONS, STORIES, same, state


def averages(model) -> list[AveragedModel]:
    return [AveragedModel(model), AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))]


@pytest.mark.parametrize("name", ["movement", "gmp"])
def test_a_run_that_was_stopped_ends_with_the_same_averages(tmp_path, name):
    """Edges change between; with `gmp` their number does."""
    options = {"plasticity": STORIES[name], "checkpoint_every": 2, **OPTIONS}
    model = learner()
    whole = averages(model)
    first = model.graph
    train(model, rows(), run=tmp_path / "whole", averages=whole, **options)
    assert not model.graph.same_topology(first)

    def interrupt(inputs, generator):
        calls.append(len(inputs))
        if len(inputs) == 12 and calls.count(12) == 6:
            raise KeyboardInterrupt
        return inputs

    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(
            started := learner(), rows(), run=tmp_path / "run", averages=averages(started),
            augmentation=interrupt, **options,
        )  # fmt: skip
    again = learner(seed=1)
    resumed = averages(again)
    # The data are those of a run whose augmentation changes nothing.
    train(
        again, rows(), run=tmp_path / "run", averages=resumed, augmentation=interrupt,
        resume=True, **options,
    )  # fmt: skip
    for mine, theirs in zip(resumed, whole, strict=True):
        assert mine.module.graph.same_topology(model.graph)
        assert int(mine.n_averaged) == 7
        assert same(dict(mine.state_dict()), dict(theirs.state_dict()))
    assert len(state(tmp_path / "run")["averages"]) == 2
    inputs = rows().test_inputs
    assert not torch.equal(whole[0](inputs).prediction, model.eval()(inputs).prediction)


def test_averages_do_not_change_the_run(tmp_path):
    options = {"plasticity": STORIES["movement"], **OPTIONS}
    train(model := learner(), rows(), run=tmp_path / "with", averages=averages(model), **options)
    train(learner(), rows(), run=tmp_path / "without", **options)
    one, other = (tmp_path / name / "checkpoint/model.safetensors" for name in ("with", "without"))
    assert one.read_bytes() == other.read_bytes()


def test_another_number_of_averages_is_refused(tmp_path):
    train(model := learner(), rows(), run=tmp_path / "run", averages=averages(model), **OPTIONS)
    with pytest.raises(ValueError, match="Got 2 there, and 1 here"):
        checkpoint.load(tmp_path / "run", learner(), averages=averages(learner())[:1])
    checkpoint.load(tmp_path / "run", learner())
