"""Parts that do not fit are refused when a columnformer is built, with the remedy."""

import pytest
import torch
from torch import Tensor

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.nn import Column, ColumnAttention, MeanReadout, PatchEmbed
from tests.models.support.variants import make

SHEETS = grid.stack([2, 2])  # columns 0-3 see the four pixels


def column(count: int = 8, skip: bool = True) -> Column:
    return Column(count, ColumnAttention(count, 4), 8, skip_attention=skip)


def build(**changes) -> Columnformer:
    """Two sheets, all connected; `changes` replace parts."""
    read = changes.pop("read", torch.arange(4, 8))
    parts = {
        "graph": connect.complete(SHEETS),
        "embed": PatchEmbed(2, 1, 4),
        "columns": column(),
        "readout": MeanReadout(4, 3, read),
        "depth": 2,
    }
    return Columnformer(**(parts | changes))


def within_sheets(*between: tuple[int, int]) -> ColumnGraph:
    """Each column listens to itself; `(source, target)` edges between them come on top."""
    edges = [(n, n) for n in range(8)] + list(between)
    return ColumnGraph.from_edge_index(torch.tensor(edges).t(), 8)


def test_all_parts_fit():
    build()


def ids(*values: int) -> Tensor:
    return torch.tensor(values)


UNFIT = {
    "graph of another size": (
        {"graph": connect.complete(grid.stack([2, 3]))},
        r"the columns hold weights for \[8\] columns, the graph has 13",
    ),
    "bipartite graph": (
        {"graph": connect.bipartite(grid.sheet(2, 2), grid.sheet(2, 4), 2)},
        r"as many sources as columns, got ColumnGraph\(num_columns=8, num_sources=4",
    ),
    "a column too few": (
        {"columns": [column()]},
        "feed-forward columnformer needs one Column per step, depth = 2, got 1",
    ),
    "no column": ({"columns": []}, "one Column per step, depth = 2, got 0"),
    "columns of two sizes": (
        {"columns": [column(), column(9)]},
        r"weights for \[8, 9\] columns, the graph has 8",
    ),
    "no path": (
        {"graph": within_sheets((4, 0))},
        "no path leads from an input column to an output column.*connect.layered",
    ),
    "depth too small": (
        {"graph": within_sheets((0, 1), (1, 2), (2, 4)), "receptive": ids(0, *[-1] * 7)},
        "the nearest output column is 3 steps from the input, the model takes depth = 2",
    ),
    "forgotten input": (
        {
            "graph": ColumnGraph.from_edge_index(torch.tensor([[0], [4]]), 8),
            "columns": column(skip=False),
        },
        "reaches an output column at step 1 and is gone after depth = 2",
    ),
    "read-out of no column": ({"read": ids(7, 8)}, r"one of the 8 columns, got ids in \[7, 8\]"),
    "receptive too short": (
        {"receptive": ids(0, 1)},
        r"receptive must hold one id per column, \[N\] = \[8\], got \[2\]",
    ),
    "receptive of no token": (
        {"receptive": ids(0, 1, 2, 4, 0, 1, 2, 3)},
        r"token ids below 4, or -1 for none, got ids in \[0, 4\]",
    ),
    "receptive below none": ({"receptive": ids(*[-2] * 8)}, r"got ids in \[-2, -2\]"),
    "more tokens than columns": (
        {"embed": PatchEmbed(3, 1, 4)},
        "9 input tokens do not fit 8 columns: use larger patches",
    ),
    "direct edges too short": (
        {"direct_edges": ids(0)},
        r"direct_edges must hold one id per column, \[N\] = \[8\], got \[1\]",
    ),
    "direct edges from nowhere": (
        {"direct_edges": ids(*range(7), 16)},
        r"ids into \[input; x\], in \[0, 16\), got ids in \[0, 16\]",
    ),
    "depth 0": ({"depth": 0}, "depth must be at least 1, got 0"),
    "drive": ({"drive": "always"}, "drive must be one of .*'every_step'.* Got 'always'"),
    "memory": ({"memory": "less"}, "memory must be one of .*'recompute'.* Got 'less'"),
    "wiring": ({"wiring": "cubic"}, "wiring must be one of .*'gaussian'.* Got 'cubic'"),
    "wiring power": ({"wiring": "distance", "wiring_power": 0.0}, "need power > 0"),
    "wiring radius": ({"wiring": "gaussian", "wiring_sigma": -1.0}, "need sigma > 0. Got -1.0"),
    "wiring without lengths": (
        {"graph": ColumnGraph.from_edge_index(connect.complete(SHEETS).edge_index, 8)}
        | {"wiring": "distance"},
        "never measured; call graph.remeasure",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_parts_that_do_not_fit(name):
    changes, message = UNFIT[name]
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize("name", ["receptive", "direct_edges"])
def test_ids_are_whole_numbers(name):
    with pytest.raises(TypeError, match=f"{name} must be int64 ids, got torch.float32"):
        build(**{name: torch.zeros(8)})


WRONG_SHEET = {
    "inputs": (
        {"interface": {"inputs": "all"}},
        "inputs must be one of .*'first_sheet'.* Got 'all'",
    ),
    "outputs": (
        {"interface": {"outputs": "first"}},
        "outputs must be one of .*'last_sheet'.* Got 'first'",
    ),
    "readout": (
        {"interface": {"readout": "max"}},
        "readout must be one of .*'spatial'.* Got 'max'",
    ),
    "edge bias": (
        {"attention": {"edge_bias": "yes"}},
        "edge_bias must be one of .*'both'.* Got 'yes'",
    ),
    "attention": (
        {"attention": {"mode": "mean"}},
        "mode must be one of .*'identity'.* Got 'mean'",
    ),
    "weights": (
        {"weights": {"attention": "tied"}},
        "weights.attention must be one of .*'lowrank'.* Got 'tied'",
    ),
    "heads": ({"heads": 3}, "heads must divide channels, got 3 heads and 8"),
    "local start of nothing": (
        {"attention": {"local_sigma": 1.0, "edge_bias": "none"}},
        "local_sigma=1.0 starts an edge bias, got edge_bias='none'",
    ),
    "mixing nothing": (
        {"attention": {"mode": "mixing", "edge_bias": "none"}},
        "made of edge scores",
    ),
    "more fields than columns": (
        {"image_size": 6},
        "36 receptive fields need at least as many columns, got 32",
    ),
    "permutation": ({"permutation": torch.zeros(32).long()}, "each of the 32 column ids once"),
}


@pytest.mark.parametrize("name", WRONG_SHEET)
def test_sheet_refuses(name):
    changes, message = WRONG_SHEET[name]
    with pytest.raises(ValueError, match=message):
        make(**changes)


DEPTHS = {
    "nothing to do": ({}, 0, "depth must be at least 1, got 0"),
    "no such column": ({"weights": {"recurrent": False}}, 4, "at least 1 and at most 3, got 4"),
    "no such time": (
        {"interface": {"time_embedding": True}},
        4,
        "at most 3, got 4. Only a recurrent",
    ),
}


@pytest.mark.parametrize("name", DEPTHS)
def test_depth_at_call(name):
    options, depth, message = DEPTHS[name]
    with pytest.raises(ValueError, match=message):
        make(**options)(torch.zeros(1, 1, 4, 4), depth=depth)


def test_an_edge_bias_of_other_edges():
    model = make()
    model.graph = connect.nearest(grid.stack([4, 4]), 6)
    with pytest.raises(ValueError, match="must be used on the edges that they belong to"):
        model(torch.zeros(1, 1, 4, 4))
