"""A sheet whose columns answer one by one, in the order of the user."""

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.data import planted
from graphcolumns.models.columnformer import sheet
from graphcolumns.training import check_fit


def build(geometry, permutation=None, num_classes=16, interface=None, **options):
    torch.manual_seed(0)
    return sheet(
        geometry, connect.nearest(geometry, 3), image_size=4, in_channels=1,
        num_classes=num_classes, channels=4, depth=2, permutation=permutation,
        interface={"readout": "columns"} | (interface or {}), **options,
    )  # fmt: skip


@pytest.mark.parametrize("weights", ["shared", "untied"])
def test_answer_n_comes_from_the_column_at_pixel_n(weights):
    geometry, permutation = grid.sheet(4, 4).reorder()
    assert not torch.equal(permutation, torch.arange(16))
    model = build(geometry, permutation, interface={"readout_weights": weights})
    images = torch.zeros(16, 1, 16)
    images[torch.arange(16), 0, torch.arange(16)] = 1  # image n: pixel n is on
    answers = model(images.reshape(16, 1, 4, 4)).prediction
    nothing = model(torch.zeros(1, 1, 4, 4)).prediction
    heard = (answers - nothing).abs() > 1e-6  # [image, answer]
    # With two steps along edges to the three nearest, an answer depends on pixels nearby only.
    distance = grid.sheet(4, 4).distance(*torch.cartesian_prod(*[torch.arange(16)] * 2).T)
    assert heard.diagonal().all()
    assert not heard[distance.reshape(16, 16) > 4].any()
    assert heard.sum() < 16 * 16 / 2


def test_the_order_of_columns_changes_no_answer():
    """The same weights in another order of columns, with nothing learned per column."""
    images, plain = (
        torch.randn(2, 1, 4, 4),
        {"weights": {"attention": "shared"}, "attention": {"edge_bias": "none"}},
    )
    plain |= {"interface": {"position_embedding": False}}
    geometry, permutation = grid.sheet(4, 4).reorder()
    there, here = build(geometry, permutation, **plain), build(grid.sheet(4, 4), **plain)
    graph = here.graph
    edges = permutation.argsort()[graph.edge_index]
    there.rewired(
        type(graph).from_edge_index(edges, 16, distance=graph.distance),
    )
    there.load_state_dict(dict(here.named_parameters()))
    torch.testing.assert_close(there(images).prediction, here(images).prediction)


def test_the_last_sheet_answers():
    geometry = grid.stack([4, 4])
    model = build(geometry, interface={"outputs": "last_sheet"})
    assert model.readout.columns.tolist() == list(range(16, 32))
    assert model(torch.zeros(2, 1, 4, 4)).prediction.shape == (2, 16)


def test_it_fits_the_planted_task():
    check_fit(build(grid.sheet(4, 4)), planted(4, 4, count=4), {})


def test_as_many_answers_as_columns():
    with pytest.raises(ValueError, match=r"Expected 16 values per sample.*Got 10; take"):
        build(grid.sheet(4, 4), num_classes=10)
    with pytest.raises(ValueError, match=r"readout must be one of .*'columns'.*Got 'column'"):
        sheet(grid.sheet(4, 4), connect.nearest(grid.sheet(4, 4), 3), image_size=4, in_channels=1,
              num_classes=2, interface={"readout": "column"})  # fmt: skip
