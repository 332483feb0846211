"""Training moves columns, keeps them apart, and goes on after a stop as if there had been none."""

import pytest
import torch
from torch import nn

from geometries import grid
from geometries.learned import positions
from graphcolumns import checkpoint, connect
from graphcolumns.models.columnformer import sheet
from graphcolumns.nn import LearnedPositions
from graphcolumns.training import TERMS, check_fit, train
from graphcolumns.training.step import after_step
from tests.training.support.tiny import task
from tests.training.test_loop import artefacts

SPACING = 0.8
WIRING = {"wiring": (0.5, TERMS["wiring"])}
OPTIONS = {"steps": 12, "batch_size": 10, "checkpoint_every": 5, "progress": False, "lr": 0.1}


def model(seed: int = 0, **options) -> nn.Module:
    torch.manual_seed(seed)
    geometry = positions(grid.sheet(3, 3), spacing=SPACING)
    sizes = {"image_size": 3, "in_channels": 1, "num_classes": 3, "channels": 4, "depth": 2}
    graph = connect.nearest(geometry, 4)
    return sheet(geometry, graph, cost={"wiring": "distance"}, **sizes, **options)


def least(learned: LearnedPositions) -> float:
    with torch.no_grad():
        return float(learned.geometry().distance(*torch.triu_indices(9, 9, 1)).min())


def test_columns_come_closer_but_not_too_close(tmp_path):
    trained = model()
    before = trained.graph.distance.mean()
    train(trained, task(), run=tmp_path / "run", losses=WIRING, **OPTIONS)
    assert trained.graph.distance.mean() < 0.97 * before
    assert 0.99 * SPACING <= least(trained.positions) < 0.95
    kept = checkpoint.read_topology(tmp_path / "run")
    assert torch.equal(kept.graph.distance, trained.graph.distance)
    assert kept.wiring_norm == model().wiring_norm


@pytest.mark.parametrize("amp", [None, "bfloat16"])
def test_stopped_and_resumed_equals_never_stopped(tmp_path, amp):
    options = {**OPTIONS, "losses": WIRING, "amp": amp}
    train(model(weights={"dropout": 0.2}), task(), run=tmp_path / "whole", **options)

    def stop(inputs, generator):
        calls.append(1)
        if len(calls) == 1 + 8:  # the first call is the trial before anything is written
            raise KeyboardInterrupt
        return inputs

    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train(
            model(weights={"dropout": 0.2}),
            task(),
            run=tmp_path / "broken",
            augmentation=stop,
            **options,
        )
    train(
        model(seed=9, weights={"dropout": 0.2}),
        task(),
        run=tmp_path / "broken",
        resume=True,
        **options,
    )
    assert artefacts(tmp_path / "broken") == artefacts(tmp_path / "whole")


class Repaired(nn.Linear):
    def after_step(self) -> None:
        with torch.no_grad():
            self.weight.clamp_(min=0)


def test_every_module_that_wants_to_is_called_after_a_step():
    network = nn.Sequential(Repaired(4, 4), nn.Sequential(Repaired(4, 4), nn.Linear(4, 4)))
    after_step(network)
    assert network[0].weight.min() == network[1][0].weight.min() == 0
    assert network[1][1].weight.min() < 0


@pytest.mark.parametrize(
    "losses", [{}, {"activity": (1.0, TERMS["activity"])}, {"wiring": (0.0, TERMS["wiring"])}]
)
def test_positions_that_nothing_moves(losses):
    with pytest.raises(ValueError, match=r"nothing that is minimised depends on them.*wiring"):
        check_fit(model(), task(), losses)


def test_a_loss_of_ones_own_may_move_them():
    def compact(model, output, labels):
        return model.positions.positions().square().mean()

    check_fit(model(), task(), {"compact": (1.0, compact)})
