"""Columns that exchange places while a model trains."""

from pathlib import Path

import pytest
import torch

from geometries import grid
from graphcolumns import ColumnGraph, connect
from graphcolumns.data import two_formulas
from graphcolumns.models.layered_columns import LayeredColumns
from graphcolumns.nn import ColumnPlaces, current_geometry
from graphcolumns.placement import SwapColumns, wire_cost
from graphcolumns.training import TERMS, train

ROWS = grid.rows([4, 6, 5, 2])


def make(every=1, **options):
    torch.manual_seed(0)
    graph = connect.between_areas(ROWS)
    return LayeredColumns(ROWS, graph, 2, swaps=SwapColumns(), swap_every=every, **options)


def test_swaps_by_hand():
    """Column 0 takes the place of column 2, then the new column 0 that of the new column 1."""
    steps = iter([[2, 1, 0], [1, 0, 2]])
    geometry = grid.rows([3])
    places = ColumnPlaces(geometry, lambda graph, now, weight: torch.tensor(next(steps)))
    places.every = 1
    graph = ColumnGraph.from_edge_index(torch.tensor([[0], [1]]), 3).remeasure(geometry)
    graph = places.swap_if_due(graph, torch.ones(1))
    assert places.slot.tolist() == [2, 1, 0]
    graph = places.swap_if_due(graph, torch.ones(1))
    assert places.slot.tolist() == [1, 2, 0]
    assert places.geometry().positions[:, 1].tolist() == pytest.approx([1 / 2, 5 / 6, 1 / 6])
    assert graph.distance.tolist() == pytest.approx([1 / 3])


def test_swaps_come_every_so_many_steps():
    model, moved = make(every=3), []
    for _ in range(6):
        before = model.positions.slot.clone()
        model.after_step()
        moved.append(not torch.equal(before, model.positions.slot))
    assert moved[:3] == [False, False, True]
    assert not any(moved[3:5])


def test_a_swap_changes_lengths_and_nothing_else():
    model, x = make(), torch.randn(7, 4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(x).prediction.square().mean().backward()
    optimizer.step()
    moments = [s["exp_avg"].clone() for s in optimizer.state.values()]
    before, state = model(x), {k: v.clone() for k, v in model.state_dict().items()}
    model.after_step()
    after, changed = model(x), model.state_dict()
    assert torch.equal(before.prediction, after.prediction)
    assert after.cost < before.cost
    moving = {"graph.distance", "positions.slot", "positions.steps"}
    assert {k for k, v in changed.items() if not torch.equal(v, state[k])} == moving
    for now, then in zip(optimizer.state.values(), moments, strict=True):
        assert torch.equal(now["exp_avg"], then)


def test_the_geometry_of_a_model_is_that_after_its_swaps():
    model = make()
    model.after_step()
    now, weight = current_geometry(model), model.edges.weight.detach().abs()
    assert torch.equal(now.areas, ROWS.areas)
    assert torch.equal(model.graph.remeasure(now).distance, model.graph.distance)
    assert wire_cost(model.graph, now, weight=weight) < wire_cost(model.graph, ROWS, weight=weight)


def test_a_resumed_run_makes_the_same_swaps(tmp_path: Path):
    data = two_formulas(train=40, test=20)

    def run(folder, steps, **more):
        model = make(every=3)
        wiring = {"wiring": (0.01, TERMS["wiring"])}
        options = {"batch_size": 8, "lr": 0.01, "progress": False, "warmup": 0.0, "min_lr": 1.0}
        train(model, data, run=tmp_path / folder, losses=wiring, steps=steps, **options, **more)
        return model

    whole = run("whole", 12)
    run("parts", 7)
    parts = run("parts", 12, resume=True, changes=["steps"])
    assert not torch.equal(whole.positions.slot, torch.arange(17))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_columns_without_swaps_stay():
    model = make()
    model.positions.swaps = None
    graph = model.graph
    model.after_step()
    assert model.graph is graph
    assert not model.positions.steps


def test_every_must_be_a_number_of_steps():
    with pytest.raises(ValueError, match="every"):
        ColumnPlaces(ROWS, every=0)


def test_two_modules_that_say_where_columns_are_are_refused():
    both = torch.nn.ModuleList([ColumnPlaces(ROWS), make()])
    with pytest.raises(ValueError, match="Got 2 ColumnPlaces; pass the part"):
        current_geometry(both)
