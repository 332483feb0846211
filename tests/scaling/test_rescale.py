"""Sheets that start from others: exactness first, then what must be refused."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geometries import cortex, grid, learned, sphere
from graphcolumns import connect
from graphcolumns.geometry import Geometry
from graphcolumns.geometry.part import part
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import sheet
from graphcolumns.scaling import nearest_columns, remove_columns, rescale
from graphcolumns.scaling.copied_edges import copied_edges, kept_edges
from tests.plasticity.support.sheets import graphs, plane

COARSE, FINE = grid.sheet(4, 4), grid.sheet(8, 8, spacing=0.5)
FOUR = nearest_columns(COARSE, FINE)


def build(geometry, graph, **options):
    sizes = {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 4, "depth": 3}
    return sheet(geometry, graph, **(sizes | options)).double()


def trained(geometry=COARSE, **options):
    """A model all of whose parameters are random, so that none hides behind its initial value."""
    torch.manual_seed(1)
    graph = connect.distance_decay(geometry, degree=5, length=1.0)
    model = build(geometry, graph, **options).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


def seeing(model, columns, **options):
    """What builds a sheet whose columns see what those of `model` do."""
    interface = options.pop("interface", {}) | {"receptive": model.receptive[columns]}
    return partial(build, interface=interface, **options)


def images():
    return torch.randn(3, 1, 4, 4, dtype=torch.float64)


def states(model, x):
    with torch.no_grad():
        return model(x, return_states=True)


# Which column comes from which, worked by hand


def test_a_grid_of_twice_the_columns_gives_each_four():
    row = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    expected = 4 * row[:, None] + row
    assert torch.equal(FOUR, expected.flatten())


@pytest.mark.parametrize("torus", [False, True])
def test_every_column_of_a_grid_gets_as_many_whatever_their_order(torus):
    coarse, _ = grid.sheet(4, 8, torus=torus).reorder()
    fine = grid.sheet(8, 16, spacing=0.5, torus=torus)
    origin = nearest_columns(coarse, fine)
    assert torch.bincount(origin).tolist() == [4] * 32
    assert torch.equal(coarse.positions[origin], fine.positions.floor())


def test_on_a_torus_the_nearest_may_be_across_the_border():
    coarse, fine = grid.sheet(1, 4, torus=True), grid.sheet(1, 12, spacing=1 / 3, torus=True)
    fine = replace(fine, period=(1.0, 4.0))
    assert nearest_columns(coarse, fine).tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0]


def test_nested_meshes_keep_their_columns():
    coarse, fine = sphere.icosphere(1), sphere.icosphere(2)
    origin = nearest_columns(coarse, fine)
    assert torch.equal(origin[:42], torch.arange(42))
    length = fine.distance(torch.arange(162), origin)  # nested: the origin is also a fine column
    assert length.max() < 0.4  # half an edge of the coarse mesh, some 0.6
    shares = torch.bincount(origin)  # 162 among 42: two at the ends of the axis, others alike
    assert shares.median() == 4
    assert ((shares - 4).abs() <= 1).float().mean() > 0.85


def test_levels_of_a_cortex_are_compared_on_the_sphere_of_their_hemisphere():
    coarse, fine = cortex.fsaverage(2, "both"), cortex.fsaverage(3, "both")
    origin = nearest_columns(coarse, fine)
    for name in ("hemisphere",):
        assert torch.equal(fine.attributes[name], coarse.attributes[name][origin])
    shared = fine.attributes["vertex"] < 162
    assert torch.equal(
        coarse.attributes["vertex"][origin[shared]], fine.attributes["vertex"][shared]
    )
    apart = coarse.attributes["sphere"][origin] - fine.attributes["sphere"]
    # No straight line through the folds: an edge of level 2 is some 30 mm on this sphere.
    assert torch.linalg.vector_norm(apart, dim=1).max() < 40


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 4e6), (1e-9, 0.0), (6.371e6, 1e9)])
def test_neither_place_nor_unit_changes_where_a_column_comes_from(scale, shift):
    coarse, fine = grid.sheet(4, 5), grid.sheet(8, 10, spacing=0.5)
    far = [
        replace(sheet, positions=sheet.positions.double() * scale + shift)
        for sheet in (coarse, fine)
    ]
    assert nearest_columns(*far).tolist() == nearest_columns(coarse, fine).tolist()


def test_another_extent_is_refused():
    with pytest.raises(ValueError, match="needs half the spacing"):
        nearest_columns(grid.sheet(2, 2, spacing=9.0), grid.sheet(4, 4))
    with pytest.raises(ValueError, match="unit"):
        nearest_columns(COARSE, grid.sheet(8, 8, 0.5, unit="mm"))


# Edges, worked by hand: two columns on a line become four


def test_each_new_column_hears_the_nearest_copy():
    coarse = Geometry(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    fine = Geometry(torch.tensor([[0.0, 0.0], [0.4, 0.0], [1.0, 0.0], [1.4, 0.0]]))
    # 0<-0, 0<-1, 1<-0
    edges = torch.tensor([[0, 1, 0], [0, 0, 1]])
    graph = ColumnGraph.from_edge_index(edges, 2, distance=coarse.distance(edges[1], edges[0]))
    copied, origin = copied_edges(graph, fine, torch.tensor([0, 0, 1, 1]))
    assert copied.edge_index.t().tolist() == [[0, 0], [2, 0], [1, 1], [2, 1], [1, 2], [1, 3]]
    assert origin.tolist() == [0, 1, 0, 1, 2, 2]
    assert copied.distance.tolist() == pytest.approx([0, 1, 0, 0.6, 0.6, 1.0])


def test_a_self_edge_stays_one_where_copies_share_a_place():
    coarse, fine = grid.sheet(1, 2), Geometry(torch.tensor([[0.0, 0], [0, 0], [1, 0], [1, 0]]))
    copied, _ = copied_edges(connect.complete(coarse), fine, torch.tensor([0, 0, 1, 1]))
    heard = [[0, 2], [1, 2], [0, 2], [0, 3]]
    assert copied.source.view(4, 2).tolist() == heard


def test_edges_from_columns_without_copies_are_dropped():
    coarse = Geometry(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    graph = connect.complete(coarse)
    copied, origin = copied_edges(graph, grid.sheet(1, 3), torch.tensor([1, 1, 1]))
    assert copied.edge_index.t().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert origin.tolist() == [3, 3, 3]


@given(graphs(least_columns=2, most_columns=8), st.data())
def test_copied_edges_lead_where_their_origins_do(graph, data):
    n = graph.num_columns
    columns = torch.tensor(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=15)))
    place = Geometry(torch.rand(len(columns), 2, generator=torch.Generator().manual_seed(n)))
    copied, origin = copied_edges(graph, place, columns)
    assert torch.equal(columns[copied.target.long()], graph.target.long()[origin])
    assert torch.equal(columns[copied.source.long()], graph.source.long()[origin])
    lone = graph.source.long()[origin] == graph.target.long()[origin]
    assert torch.equal(lone, copied.target == copied.source)
    for edge in range(copied.num_edges):  # by brute force: nobody who could be heard is nearer
        target, source = int(copied.target[edge]), int(copied.source[edge])
        if target == source:
            continue
        others = (columns == columns[source]).nonzero()[:, 0]
        lengths = place.distance(torch.full_like(others, target), others)
        assert int(others[lengths.argmin()]) == source
    # A column hears every origin that its own origin hears and that has columns.
    heard = torch.isin(graph.source.long(), columns)
    degree = torch.zeros(n, dtype=torch.long).index_add(0, graph.target.long(), heard.long())
    assert torch.equal(copied.in_degree, degree[columns])


@given(graphs(), st.data())
def test_kept_edges_keep_lengths_and_order(graph, data):
    n = graph.num_columns
    keep = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    keep[data.draw(st.integers(0, n - 1))] = True
    kept, origin = kept_edges(graph, keep)
    ids = keep.nonzero()[:, 0]
    expected = graph.remeasure(plane(graph)).edge_index[:, origin]
    assert torch.equal(ids[kept.edge_index], expected)
    assert torch.equal(kept.distance, graph.distance[origin])
    both = keep[graph.edge_index].all(0)
    assert kept.num_edges == int(both.sum())


# The function of the model


VARIANTS = {
    "untied": {},
    "shared": {"weights": {"attention": "shared"}},
    "mixture": {"weights": {"attention": "mixture", "rank": 2}},
    "lowrank": {"weights": {"attention": "lowrank", "rank": 2}},
    "mixing": {"attention": {"mode": "mixing", "edge_bias": "both"}},
    "selection": {"attention": {"mode": "selection", "edge_bias": "head"}},
    "spatial": {"interface": {"readout": "spatial", "time_embedding": True}},
    "untied_tokens": {"interface": {"embed_weights": "untied"}},
    "feedforward": {"weights": {"recurrent": False}, "cost": {"wiring": "distance"}},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_where_columns_see_what_their_origin_sees_the_finer_sheet_is_the_same(options):
    model, x = trained(**options), images()
    made = rescale(model, FINE, FOUR, seeing(model, FOUR, **options))
    before, after = states(model, x), states(made.model, x)
    torch.testing.assert_close(after.states, before.states[:, FOUR], rtol=0, atol=1e-12)
    torch.testing.assert_close(after.prediction, before.prediction, rtol=0, atol=1e-12)
    assert made.model.graph.num_columns == 64
    assert torch.equal(made.columns, FOUR)
    assert len(made.edges) == made.model.graph.num_edges == 4 * model.graph.num_edges


@pytest.mark.parametrize("readout", ["mean", "spatial"])
def test_with_unequal_shares_a_mean_changes_and_a_spatial_readout_does_not(readout):
    model, x = trained(interface={"readout": readout}), images()
    origin = torch.cat([torch.arange(16), torch.tensor([0, 0, 0, 5])])
    places = torch.cat([COARSE.positions, COARSE.positions[origin[16:]] + 0.1])
    made = rescale(
        model, Geometry(places), origin, seeing(model, origin, interface={"readout": readout})
    )
    before, after = states(model, x), states(made.model, x)
    torch.testing.assert_close(after.states, before.states[:, origin], rtol=0, atol=1e-12)
    same = torch.allclose(after.prediction, before.prediction, rtol=0, atol=1e-12)
    assert same == (readout == "spatial")


def fields(stride):
    """Receptive fields of 3 x 3 pixels on images of 8 x 8."""
    return {"image_size": 8, "interface": {"patch": 3, "padding": 1, "stride": stride}}


def test_a_finer_sheet_may_look_more_finely_and_the_loss_says_what_that_changes():
    model = trained(**fields(stride=2))  # 16 receptive fields, then 64 of the same size
    finer = partial(build, **fields(stride=1))
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)

    def loss(each):
        return each(x).prediction.square().mean()

    looks = rescale(model, FINE, FOUR, finer, loss=loss)
    same = rescale(model, FINE, FOUR, seeing(model, FOUR, **fields(stride=2)), loss=loss)
    assert looks.model.embed.num_tokens == 64
    assert torch.equal(looks.model.placed, torch.arange(64))
    assert same.loss_after == pytest.approx(same.loss_before, abs=1e-12)
    assert looks.loss_before == same.loss_before
    assert abs(looks.loss_after - looks.loss_before) > 1e-6
    assert rescale(model, FINE, FOUR, finer).loss_after is None


def test_the_old_model_is_untouched_and_nothing_is_shared():
    model = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    new = rescale(model, FINE, FOUR, build).model
    for parameter in new.parameters():
        nn.init.zeros_(parameter)
    assert model.graph.num_columns == 16
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_costs_of_wire_stay_in_the_same_unit():
    model = trained(cost={"wiring": "distance"})
    new = rescale(model, FINE, FOUR, partial(build, cost={"wiring": "distance"})).model
    assert new.wiring_norm == model.wiring_norm
    cost = new.edge_cost()
    torch.testing.assert_close(cost, new.graph.distance / model.wiring_norm)


def test_a_finer_sheet_learns():
    model = trained()
    new = rescale(model, FINE, FOUR, build).model
    optimizer = torch.optim.AdamW(new.parameters(), lr=1e-3)
    x = images()
    losses = []
    for _ in range(5):
        loss = new(x).prediction.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_columns_that_moved_take_their_copies_along():
    start = learned.positions(COARSE)
    model = trained(start)
    finer = learned.positions(FINE)
    new = rescale(model, finer, FOUR, build).model
    shift = model.positions.positions() - start.positions
    torch.testing.assert_close(
        new.positions.positions(), FINE.positions + shift[FOUR], rtol=0, atol=1e-12,
        check_dtype=False,
    )  # fmt: skip


# Fewer columns


def test_columns_that_nobody_hears_or_reads_are_removed_without_a_trace():
    geometry = grid.stack([4, 2])  # 16 columns that see, 4 that are read
    graph = connect.complete(geometry)
    deaf = torch.tensor([3, 7, 12])
    heard = ~torch.isin(graph.source.long(), deaf)
    graph = ColumnGraph.from_edge_index(
        graph.edge_index[:, heard], 20, distance=graph.distance[heard]
    )
    options = {"interface": {"outputs": "last_sheet", "patch": 2}}
    torch.manual_seed(1)
    model = build(geometry, graph, **options).eval()
    keep = ~torch.isin(torch.arange(20), deaf)
    x = images()
    made = remove_columns(model, geometry, keep, seeing(model, keep, **options))
    before, after = states(model, x), states(made.model, x)
    torch.testing.assert_close(after.states, before.states[:, keep], rtol=0, atol=1e-12)
    torch.testing.assert_close(after.prediction, before.prediction, rtol=0, atol=1e-12)
    assert made.model.graph.num_columns == 17
    assert torch.equal(made.geometry.positions, geometry.positions[keep])


def test_there_may_be_fewer_columns_than_receptive_fields():
    model, keep = trained(), torch.arange(16) % 4 > 0
    new = remove_columns(model, COARSE, keep, seeing(model, keep)).model
    assert new.graph.num_columns == 12
    assert torch.equal(new.receptive, torch.arange(16)[keep])
    with pytest.raises(ValueError, match="at least as many columns"):
        remove_columns(model, COARSE, keep, build)


def test_a_column_that_is_read_cannot_go_from_one_readout_only():
    geometry = grid.stack([4, 2])
    options = {"interface": {"outputs": "last_sheet", "patch": 2}}
    model = build(geometry, connect.complete(geometry), **options)
    keep = torch.arange(20) != 17
    with pytest.raises(ValueError, match="must read the columns that come from output columns"):
        remove_columns(model, geometry, keep, partial(build, **options))


def test_part_of_a_mesh_by_hand():
    faces = torch.tensor([[0, 1, 2], [1, 3, 2]])
    geometry = Geometry(
        torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]]), faces=faces,
        areas=torch.tensor([0, 0, 1, 1]), anchors=torch.tensor([0, 3]),
        attributes={"x": torch.arange(4)},
    )  # fmt: skip
    kept = part(geometry, torch.tensor([False, True, True, True]))
    assert kept.positions.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert kept.faces.tolist() == [[0, 2, 1]]
    assert kept.areas.tolist() == [0, 1, 1]
    assert kept.anchors.tolist() == [2]
    assert kept.attributes["x"].tolist() == [1, 2, 3]
    for keep, kind in ((torch.zeros(4).bool(), ValueError), (torch.ones(4), TypeError)):
        with pytest.raises(kind, match="keep"):
            part(geometry, keep)


# What cannot be done


class Declared(nn.Module):
    """A model of somebody else that says what it keeps per column and per edge."""

    column_tensors = ("gain", "average", "absent")
    edge_tensors = ("strength",)

    def __init__(self, graph):
        super().__init__()
        self.graph, self.absent = graph, None
        self.gain = nn.Parameter(torch.rand(graph.num_columns, 2))
        self.strength = nn.Parameter(torch.rand(graph.num_edges))
        self.register_buffer("average", torch.rand(graph.num_columns))
        self.register_buffer("count", torch.rand(()))
        self.register_buffer("cache", torch.rand(graph.num_columns), persistent=False)


def test_a_model_of_somebody_else_takes_part_by_declaring_its_tensors():
    model = Declared(connect.nearest(COARSE, 3))
    made = rescale(model, FINE, FOUR, lambda geometry, graph: Declared(graph))
    new = made.model
    assert torch.equal(new.gain, model.gain[FOUR])
    assert torch.equal(new.average, model.average[FOUR])
    assert torch.equal(new.strength, model.strength[made.edges])
    assert torch.equal(new.count, model.count)
    assert len(new.cache) == 64


class Undeclared(nn.Module):
    """A model with a tensor per column that it does not speak of."""

    def __init__(self, graph):
        super().__init__()
        self.graph = graph
        self.secret = nn.Parameter(torch.zeros(graph.num_columns))


def test_a_tensor_per_column_that_is_not_declared_is_refused():
    model = Undeclared(connect.nearest(COARSE, 3))
    with pytest.raises(ValueError, match=r"secret must have shape .* column_tensors"):
        rescale(model, FINE, FOUR, lambda geometry, graph: Undeclared(graph))


@pytest.mark.parametrize(
    ("change", "kind", "match"),
    [
        ({"build": partial(build, channels=8)}, ValueError, "shape"),
        ({"build": partial(build, attention={"edge_bias": "none"})}, ValueError, "same modules"),
        ({"build": partial(build, interface={"time_embedding": True})}, ValueError, "both models"),
        ({"build": lambda *a: build(*a).float()}, TypeError, "float64"),
        ({"build": lambda g, _: build(g, connect.nearest(g, 3))}, ValueError, "graph it is given"),
        ({"columns": FOUR[:9]}, ValueError, r"\(64,\)"),
        ({"columns": FOUR + 16}, ValueError, r"\[0, 16\)"),
        ({"columns": FOUR.int()}, TypeError, "int64"),
        ({"model": nn.Linear(2, 2)}, TypeError, "ColumnGraph"),
    ],
)
def test_what_does_not_fit_is_refused(change, kind, match):
    given_ = {"model": trained(), "geometry": FINE, "columns": FOUR, "build": build} | change
    with pytest.raises(kind, match=match):
        rescale(**given_)


def test_a_tensor_of_the_new_model_only_is_refused():
    # A parameter that was None in the old model.
    with pytest.raises(ValueError, match="only in the new one"):
        rescale(trained(interface={"position_embedding": False}), FINE, FOUR, build)
