"""Every mistake that a user may make, and what is said: one table, word for word.

A row is a call that must fail, and the whole message: the rule, what was expected, what came, what
to do. `{folder}` stands for a temporary folder, `{cause}` for the words of another library. Rows
that touch files also show that nothing was written or changed.
"""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from geometries import cortex, grid, sphere
from graphcolumns import (
    ColumnGraph,
    Geometry,
    checkpoint,
    column_attention,
    connect,
    edge_linear,
    untied_linear,
)
from graphcolumns.cli import main
from graphcolumns.data import Dataset, digits, image_folder, matching, mnist, planted
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.models.staged_columnformer import staged
from graphcolumns.nn import (
    Column,
    ColumnAttention,
    ColumnConv,
    EdgeBias,
    Mixture,
    PatchEmbed,
    UntiedLinear,
)
from graphcolumns.training import TERMS, train
from tests.training.support.tiny import Output, Tiny, task, tiny


def bad(name: str, call: Callable | list[str], message: str, error: type[Exception] = ValueError):
    return pytest.param(call, error, message, id=name)


def raised(call: Callable[[], object], error: type[Exception]) -> Exception:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return caught.value


# Six columns, twelve edges, a batch of two, two heads of two channels.
NAN = float("nan")
SHEET = grid.sheet(2, 3)
STACK = grid.stack([4, 4])
NEAR = connect.nearest(SHEET, 2)
POINTS = torch.zeros(2, 2)
X, Q, W = torch.zeros(6, 2, 4), torch.zeros(6, 2, 2, 2), torch.zeros(6, 4, 5)
SCORES, IMAGES = torch.zeros(12), torch.zeros(4, 1, 2, 2)
LABELS = torch.tensor([0, 1, 0, 1])
BITS = torch.stack([LABELS, 1 - LABELS], 1)


class MeanOfBatch(Tiny):
    """Forgets the samples, which one sample would not show."""

    def forward(self, inputs: Tensor) -> Output:
        output = super().forward(inputs)
        return output._replace(prediction=output.prediction.mean(0, keepdim=True))


def ids(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def graph(*pairs: tuple[int, int], columns: int = 3, **options) -> ColumnGraph:
    """Edges (source, target)."""
    return ColumnGraph.from_edge_index(torch.tensor(pairs).reshape(-1, 2).t(), columns, **options)


def attend(**changes):
    return column_attention(**({"q": Q, "k": Q, "v": Q, "graph": NEAR} | changes))


def conv(x: Tensor, *args, **options):
    column_id = options.pop("column_id", None)
    edge_attr = options.pop("edge_attr", None)
    return ColumnConv(4, 3, 6, **options)(x, *args, edge_attr=edge_attr, column_id=column_id)


def use_twice():
    weight = torch.zeros(6, 4, 5, requires_grad=True)
    step, _ = untied_linear.unroll(weight, None, steps=2, batch=2)
    for _ in range(2):
        untied_linear(X, weight, step=step)


def model(**changes) -> Columnformer:
    """Two sheets of 16 columns that see an image of 4 x 4 pixels."""
    parts = {"geometry": STACK, "graph": connect.nearest(STACK, 3), "image_size": 4}
    sizes = {"in_channels": 1, "num_classes": 3, "channels": 4, "depth": 2}
    return sheet(**(parts | sizes | changes))


def data(**changes) -> Dataset:
    halves = {f"{half}_inputs": IMAGES for half in ("train", "test")}
    halves |= {f"{half}_targets": LABELS for half in ("train", "test")}
    return Dataset(**(halves | {"num_classes": 2} | changes))


# Tables keep their rows short by hand: a call, and below it what is said.
# fmt: off
GEOMETRY = [
    bad("positions are a list", lambda: Geometry([[0.0, 0.0]]),
        "positions must be a float32 tensor. Got list; call .float() on a tensor.", TypeError),
    bad("positions of half precision", lambda: Geometry(POINTS.half()),
        "positions must be a float32 tensor. Got torch.float16; call .float() on a tensor.",
        TypeError),
    bad("no column", lambda: Geometry(torch.zeros(0, 2)),
        "positions must have shape (N, 2) or (N, 3) with at least one column. Got (0, 2)."),
    bad("four axes", lambda: Geometry(torch.zeros(3, 4)),
        "positions must have shape (N, 2) or (N, 3) with at least one column. Got (3, 4)."),
    bad("NaN position", lambda: Geometry(torch.tensor([[0.0, 0.0], [NAN, 1.0]])),
        "positions must be finite. Column 1 is at [nan, 1.0] (1 such columns); drop these columns "
        "or fill in their positions."),
    bad("infinite position", lambda: Geometry(torch.tensor([[0.0, float("-inf")]])),
        "positions must be finite. Column 0 is at [0.0, -inf] (1 such columns); drop these columns "
        "or fill in their positions."),
    bad("unknown metric", lambda: Geometry(POINTS, metric="manhattan"),
        "metric must be one of 'euclidean', 'geodesic', 'great-circle', 'torus'. Got 'manhattan'."),
    bad("unknown unit", lambda: Geometry(POINTS, unit="cm"),
        "unit must be one of 'mm', 'rad', 'pixel'. Got 'cm'."),
    bad("off the sphere", lambda: Geometry(torch.eye(3) * 2, metric="great-circle", radius=1.0),
        "great-circle positions must lie on the sphere of radius 1.0 around the origin. Column 0 "
        "is at 2.0 from it; rescale the positions or the radius."),
    bad("sphere in the plane", lambda: Geometry(POINTS, metric="great-circle", radius=1.0),
        "metric 'great-circle' needs positions (N, 3). Got (2, 2)."),
    bad("torus with one period", lambda: Geometry(POINTS, metric="torus", period=3.0),
        "metric 'torus' needs a positive finite period per axis, 2 in all. Got 3.0."),
    bad("outside the torus", lambda: Geometry(POINTS - 1, metric="torus", period=(3.0, 3.0)),
        "torus positions must lie in [0, period), period (3.0, 3.0). Column 0 is at [-1.0, -1.0]; "
        "wrap them with torch.remainder(positions, period)."),
    bad("face of no column", lambda: Geometry(POINTS, faces=ids(0, 1, 2)[None]),
        "faces must be column ids in [0, 2). Got 2."),
    bad("anchor of no column", lambda: Geometry(POINTS, anchors=ids(-1)),
        "anchors must be column ids in [0, 2). Got -1."),
    bad("area below 0", lambda: Geometry(POINTS, areas=ids(0, -1)),
        "areas must hold one label >= 0 per column, shape (2,). Got shape (2,), smallest -1."),
    bad("areas are a list", lambda: Geometry(POINTS, areas=[0, 1]),
        "areas must be an int64 tensor. Got [0, 1].", TypeError),
    bad("sheet of no row", lambda: grid.sheet(0, 3),
        "height must be a whole number of columns, 1 or more. Got 0."),
    bad("stack of a number", lambda: grid.stack(8),
        "widths must name at least one sheet, in a list. Got 8."),
    bad("sphere of radius NaN", lambda: sphere.fibonacci(10, radius=NAN),
        "radius must be positive and finite. Got nan."),
    bad("icosphere of level 9", lambda: sphere.icosphere(9),
        "level must be a whole number from 0 to 8. Got 9."),
    bad("ring of no column", lambda: grid.ring(0),
        "n must be a whole number of columns, 1 or more. Got 0."),
    bad("mesh without faces", lambda: Geometry(POINTS, metric="geodesic"),
        "metric 'geodesic' runs along the edges of a mesh and needs faces (F, 3). Got None; set "
        "faces, or use metric='euclidean'."),
    bad("attribute of another length", lambda: Geometry(POINTS, attributes={"depth": SCORES}),
        "attribute 'depth' must have one entry per column, 2 in its first dimension. Got shape "
        "(12,)."),
    bad("spacing of fixed positions", lambda: Geometry(POINTS, spacing=1.0),
        "spacing is what learned positions keep between them. Got learnable=False; set "
        "learnable=True or leave spacing out."),
    bad("fsaverage of level 6", lambda: cortex.fsaverage(6),
        "level must be one of 2, 3, 4, 5. Got 6."),
    bad("flat medial wall", lambda: cortex.fsaverage(2, surface="flat", medial_wall=True),
        "a flat map has no medial wall. Got surface='flat' with medial_wall=True; leave "
        "medial_wall out, or choose another surface."),
    bad("surface from nowhere", lambda: cortex.load("nowhere.gii"),
        "there is no file nowhere.gii. It must be a surface: GIFTI (.gii, .gii.gz) or FreeSurfer "
        "(lh.pial, rh.white, ...).", FileNotFoundError),
    bad("edges between hemispheres", lambda: connect.complete(cortex.fsaverage(2)),
        "every edge needs a finite length. There is no path on the mesh from column 0 to column "
        "149 (44104 of 88209 edges have none); use metric='euclidean', or a wiring that stays "
        "near, such as nearest."),
]

GRAPH = [
    bad("float ids", lambda: ColumnGraph.from_edge_index(torch.zeros(2, 3), 3),
        "edge_index must hold integers. Got torch.float32; call .long().", TypeError),
    bad("edges as rows", lambda: ColumnGraph.from_edge_index(ids(*range(6)).view(3, 2), 6),
        "edge_index must have shape (2, E), row 0 source and row 1 target. Got (3, 2)."),
    bad("source out of range", lambda: graph((3, 0)),
        "source ids must lie in [0, 3). Got 3; raise num_sources or drop the edge."),
    bad("target out of range", lambda: graph((0, -1)),
        "target ids must lie in [0, 3). Got -1; raise num_columns or drop the edge."),
    bad("zero columns", lambda: graph(columns=0),
        "num_columns must be in [1, 2147483647], because ids are int32. Got 0."),
    bad("float columns", lambda: graph((0, 1), columns=3.0),
        "num_columns must be a whole number. Got 3.0.", TypeError),
    bad("unknown columns", lambda: graph((0, 1), columns=None),
        "num_columns is needed, since edge_index alone does not tell how many columns there are. "
        "Pass num_columns, or an EdgeIndex with a sparse_size."),
    bad("duplicate edge", lambda: graph((0, 1), (1, 1), (0, 1)),
        "edges must be unique. Got (source 0, target 1) more than once; merge duplicates with "
        "torch_geometric.utils.coalesce(edge_index)."),
    bad("negative distance", lambda: graph((0, 1), distance=torch.tensor([-1.0])),
        "distance must be finite and not negative. Got -1.0 at edge 0; signed values belong in a "
        "weight, not in the graph."),
    bad("NaN distance", lambda: graph((0, 1), (1, 2), distance=torch.tensor([0.0, NAN])),
        "distance must be finite and not negative. Got nan at edge 1; signed values belong in a "
        "weight, not in the graph."),
    bad("a distance too many", lambda: graph((0, 1), distance=torch.zeros(2)),
        "distance must hold one length per edge, shape (1,). Got (2,)."),
    bad("unsorted rowptr", lambda: ColumnGraph(ids(0, 2, 1, 2), ids(0, 1).int(), None, 3),
        "rowptr must rise from 0 to the number of edges, 2, and never decrease. Got 0 to 2; call "
        "ColumnGraph.from_edge_index."),
    bad("unsorted sources", lambda: ColumnGraph(ids(0, 2), ids(1, 0).int(), None, 3),
        "edges must be sorted by (target, source). Got (source 0, target 0) after source 1; call "
        "ColumnGraph.from_edge_index, which sorts."),
    bad("rowptr is a list", lambda: ColumnGraph([0, 1], ids(0).int(), None, 1),
        "rowptr must be int64 and source int32, as tensors. Got list and torch.int32; call "
        "ColumnGraph.from_edge_index.", TypeError),
    bad("measured elsewhere", lambda: NEAR.remeasure(grid.sheet(1, 3)),
        "the geometry must place 6 columns, one per end of an edge. Got Geometry(num_columns=3, "
        "dimensions=2, metric='euclidean', unit='pixel'); a bipartite graph needs the geometry of "
        "its columns and that of its sources."),
]

CONNECT = [
    bad("degree 0", lambda: connect.nearest(SHEET, 0),
        "degree must be in [1, 6], since there are 6 columns to choose from. Got 0."),
    bad("degree above columns", lambda: connect.random(SHEET, 6, self_loops=False),
        "degree must be in [1, 5], since there are 5 other columns to choose from. Got 6."),
    bad("degree and a half", lambda: connect.nearest(SHEET, 1.5),
        "degree must be a whole number. Got 1.5.", TypeError),
    bad("radius 0", lambda: connect.within_radius(SHEET, 0),
        "radius must be positive and finite, in the unit of the geometry (pixel). Got 0."),
    bad("unknown kernel", lambda: connect.distance_decay(SHEET, 2, 1.0, kernel="gauss"),
        "kernel must be one of 'exponential', 'gaussian', 'power'. Got 'gauss'."),
    bad("negative seed", lambda: connect.random(SHEET, 2, seed=-1),
        "seed must be a whole number, 0 or above. Got -1."),
    bad("layers without areas", lambda: connect.layered(SHEET, 1, 1, 1),
        "layered needs the area of each column. Got areas=None; set areas."),
    bad("layers without edges", lambda: connect.layered(STACK, 0, 0, 0),
        "feedforward, lateral and feedback must be 0 or above, one of them positive. "
        "Got 0, 0, 0."),
    bad("layers too small", lambda: connect.layered(STACK, 17, 1, 1),
        "degree must be in [1, 16], since there are 16 columns in area 0 to choose from. Got 17."),
    bad("layer left out", lambda: connect.layered(Geometry(POINTS, areas=ids(0, 2)), 1, 1, 1),
        "areas must be labelled from 0 without gaps. None in [1]."),
    bad("bipartite above sources", lambda: connect.bipartite(grid.sheet(2, 2), SHEET, 5),
        "degree must be in [1, 4], since there are 4 sources to choose from. Got 5."),
    bad("bipartite in two units", lambda: connect.bipartite(grid.sheet(2, 2, unit="mm"), SHEET, 1),
        "targets and sources must be in one space. Got unit 'pixel' for the targets and 'mm' for "
        "the sources."),
    bad("union of two sheets", lambda: connect.union(NEAR, connect.nearest(grid.sheet(1, 3), 1)),
        "graphs must have the same columns and sources. Got ColumnGraph(num_columns=6, "
        "num_sources=6, num_edges=12) and ColumnGraph(num_columns=3, num_sources=3, num_edges=3)."),
]

OPS = [
    bad("batch first", lambda: attend(q=Q.transpose(0, 1)),
        "q must have one row per column, N = 6, got 2 (columns come first: [N, B, H, D])"),
    bad("queries without heads", lambda: attend(q=X),
        "q, k, v must be [N, B, H, D], [M, B, H, D], [M, B, H, Dv] (columns first), got "
        "[6, 2, 4], [6, 2, 2, 2], [6, 2, 2, 2]"),
    bad("keys of other sources", lambda: attend(k=Q[:5]),
        "k and v must have one row per source, M = 6, got 5 and 6"),
    bad("values of another batch", lambda: attend(v=Q[:, :1]),
        "k and v must agree in batch and heads, got [6, 2, 2, 2] and [6, 1, 2, 2]"),
    bad("queries of another width", lambda: attend(q=torch.zeros(6, 2, 2, 3)),
        "q must be [N, 2 or 1, 2, 2] to fit the keys, got [6, 2, 2, 3]"),
    bad("half-precision queries", lambda: attend(q=Q.half()),
        "q, k, v must share one floating dtype, got torch.float16, torch.float32, torch.float32",
        TypeError),
    bad("whole numbers", lambda: attend(q=Q.long(), k=Q.long(), v=Q.long()),
        "q, k, v must share one floating dtype, got torch.int64, torch.int64, torch.int64",
        TypeError),
    bad("edge_index for a graph", lambda: attend(graph=NEAR.edge_index),
        "graph must be a ColumnGraph, got Tensor: build one with "
        "ColumnGraph.from_edge_index(edge_index, num_columns)", TypeError),
    bad("bias of other edges", lambda: attend(bias=torch.zeros(13)),
        "bias must hold one value per edge, [E] = [12] or [E, H] = [12, 2], got [13]. After a "
        "change of topology carry it along with the edges"),
    bad("cost of other heads", lambda: attend(cost=torch.zeros(12, 3)),
        "cost must hold one value per edge, [E] = [12] or [E, H] = [12, 2], got [12, 3]. After a "
        "change of topology carry it along with the edges"),
    bad("whole-number bias", lambda: attend(bias=SCORES.long()),
        "bias must be floating, got torch.int64: call bias.float()", TypeError),
    bad("dropout of everything", lambda: attend(dropout=1.0),
        "dropout must be in [0, 1), got 1.0"),
    bad("unknown backend", lambda: attend(backend="cuda"),
        "backend must be 'auto' or one of ('reference', 'scatter', 'dense', 'cpp', 'triton'), "
        "got 'cuda'"),
    bad("edge_linear of other sources", lambda: edge_linear(X[:5], SCORES, NEAR),
        "x must be [M, B, C] with M = 6 sources, got [5, 2, 4]"),
    bad("weights of other edges", lambda: edge_linear(X, SCORES[1:], NEAR),
        "weight must be [E], [E, H] or [E, C] with E = 12 edges, got [11]. After a change of "
        "topology carry it along with the edges"),
    bad("weights of three heads", lambda: edge_linear(X, torch.zeros(12, 3), NEAR),
        "the heads of weight [E, H] must divide the channels C = 4, got H = 3"),
    bad("untied input of other columns", lambda: untied_linear(X[:5], W),
        "x [N, B, Cin] must be [6, B, 4] to fit the weights, got [5, 2, 4]"),
    bad("one bias for all columns", lambda: untied_linear(X, W, torch.zeros(5)),
        "bias must be [N, Cout] = [6, 5], got [5]"),
    bad("handle used twice", use_twice,
        "a step handle is good for one use: two uses would add up their inputs. Take one handle "
        "per application from untied_linear.unroll(weight, bias, steps, batch)", RuntimeError),
]

LAYERS = [
    bad("one feature vector", lambda: conv(X[:, 0, 0], NEAR),
        "x must be [N, C] or [B, N, C], and both parts of a pair alike, got [6] and [6]"),
    bad("other channels", lambda: conv(torch.zeros(6, 5), NEAR),
        "x must have in_channels = 4 channels, its last axis, got [6, 5]"),
    bad("half-precision features", lambda: conv(X[:, 0].half(), NEAR),
        "x must be torch.float32 like the weights, got torch.float16: convert the input or the "
        "module with .to(dtype), or use torch.autocast", TypeError),
    bad("subgraph without column_id", lambda: conv(X[:3, 0], ids(0, 1).view(2, 1)),
        "the layer has weights for (6, 6) (source, target) columns, got (3, 3) nodes. For a "
        "mini-batch of copies or a subgraph pass column_id=[column of every node]; for a batch on "
        "one graph pass x as [B, N, C]"),
    bad("column_id out of range", lambda: conv(X[:2, 0], ids(0, 1).view(2, 1), column_id=ids(0, 6)),
        "column_id must lie in [0, num_columns = 6), got 0 to 6"),
    bad("column_id is a list", lambda: conv(X[:2, 0], ids(0, 1).view(2, 1), column_id=[0, 1]),
        "column_id must hold int64 ids, got list", TypeError),
    bad("graph of other columns", lambda: conv(X[:, 0], connect.nearest(grid.sheet(2, 2), 2)),
        "the graph must have (6, 6) (source, target) columns, one per node of x, got "
        "ColumnGraph(num_columns=4, num_sources=4, num_edges=8)"),
    bad("edge_bias of other edges",
        lambda: conv(X[:, 0], connect.nearest(SHEET, 3), edge_bias=NEAR),
        "edge_bias holds one score per edge of the ColumnGraph that the layer was built with, "
        "ColumnGraph(num_columns=6, num_sources=6, num_edges=12): pass that graph, got "
        "ColumnGraph(num_columns=6, num_sources=6, num_edges=18)"),
    bad("edge_attr not expected", lambda: conv(X[:, 0], NEAR, edge_attr=torch.zeros(12, 2)),
        "the layer was built without edge_dim, so it takes no edge_attr, got [12, 2]: pass "
        "edge_dim to ColumnConv"),
    bad("edge_attr missing", lambda: conv(X[:, 0], NEAR, edge_dim=2),
        "edge_attr must be [E, edge_dim] = [12, 2], got None"),
    bad("unknown weights", lambda: conv(X[:, 0], NEAR, weights="tied"),
        "weights must be one of 'untied', 'shared', 'mixture', 'lowrank'. Got 'tied'."),
    bad("unknown attention mode", lambda: ColumnAttention(6, 4, mode="softmax"),
        "mode must be one of 'attention', 'selection', 'mixing', 'linear_mixing', 'identity'. "
        "Got 'softmax'."),
    bad("heads not dividing channels", lambda: ColumnAttention(6, 4, heads=3),
        "heads must divide channels, got 3 heads and 4"),
    bad("mixing without scores", lambda: ColumnAttention(6, 4, mode="mixing"),
        "mode='mixing' is made of edge scores: pass edge_bias=EdgeBias(graph)"),
    bad("edge_index for an edge bias", lambda: EdgeBias(NEAR.edge_index),
        "graph must be a ColumnGraph, got Tensor: build one with "
        "ColumnGraph.from_edge_index(edge_index, num_columns)", TypeError),
    bad("local bias without lengths", lambda: EdgeBias(graph((0, 1)), sigma=1.0),
        "a Gaussian-local bias needs a graph with distances, got distance=None: call "
        "graph.remeasure(geometry)"),
    bad("attention of other columns", lambda: Column(5, ColumnAttention(6, 4), 8),
        "the attention must be for num_columns=5, got 6"),
    bad("width and a half", lambda: UntiedLinear(6, 4, 2.5),
        "out_channels must be a whole number, got 2.5", TypeError),
    bad("mixture of other columns", lambda: UntiedLinear(6, 4, 4, weights="mixture",
                                                         mixture=Mixture(5, 4)),
        "the mixture must have num_columns=6 and num_sets=rank=4, got 5 and 4"),
    bad("patch larger than the image", lambda: PatchEmbed(4, 1, 8, patch=5),
        "patch must fit the padded image, 4 x 4 + 2 * 0 pixels, got 5"),
]

MODELS = [
    bad("image of another size", lambda: model()(torch.zeros(2, 1, 5, 5)),
        "images must be [B, 1, 4, 4], got [2, 1, 5, 5]"),
    bad("image of bytes", lambda: model()(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)),
        "images must be floating, got torch.uint8: call images.float()", TypeError),
    bad("more tokens than columns", lambda: model(image_size=8),
        "64 receptive fields need at least as many columns, got 32: use a larger patch or stride, "
        "or a larger sheet"),
    bad("graph of another sheet", lambda: model(graph=NEAR),
        "the columns hold weights for [32] columns, the graph has 6"),
    bad("geometry for a graph", lambda: model(graph=STACK),
        "graph must be a ColumnGraph, got Geometry: build one with "
        "ColumnGraph.from_edge_index(edge_index, num_columns)", TypeError),
    bad("no path from input to output",
        lambda: model(graph=connect.nearest(STACK, 1),
                      interface={"inputs": "first_sheet", "outputs": "last_sheet"}),
        "no path leads from an input column to an output column: with purely local edges and input "
        "and read-out on different sheets nothing arrives. Give the graph edges between the "
        "sheets (connect.layered, connect.distance_decay), let every sheet see the input, or read "
        "every column"),
    bad("no depth", lambda: model(depth=0), "depth must be at least 1, got 0"),
    bad("edge dropout of everything", lambda: model(attention={"edge_dropout": 1.0}),
        "edge_dropout must be in [0, 1), got 1.0"),
    bad("two widths", lambda: model(parameters=1000),
        "give exactly one of channels, parameters, flops and leave the others None (null), got "
        "{'channels': 4, 'parameters': 1000}"),
    bad("unknown wiring", lambda: model(cost={"wiring": "length"}),
        "wiring must be one of 'distance', 'gaussian', 'communicability'. Got 'length'."),
    bad("permutation is a list", lambda: model(permutation=list(range(32))),
        "permutation must be int64 ids, got list", TypeError),
    bad("feed-forward run for longer",
        lambda: model(weights={"recurrent": False})(torch.zeros(1, 1, 4, 4), depth=3),
        "depth must be at least 1 and at most 2, got 3. Only a recurrent columnformer without time "
        "embedding can run longer than it was built for"),
    bad("stages of different length",
        lambda: staged([SHEET], image_size=4, in_channels=1, num_classes=2, depths=[1, 1]),
        "depths must have 1 entries here, got 2"),
    bad("one geometry for the stages",
        lambda: staged(SHEET, image_size=4, in_channels=1, num_classes=2, depths=[1]),
        "geometries must list one Geometry per stage, got Geometry(num_columns=6, dimensions=2, "
        "metric='euclidean', unit='pixel')"),
]

DATA = [
    bad("inputs of float64", lambda: data(train_inputs=IMAGES.double()),
        "train_inputs must be a float32 tensor. Got torch.float64; call .float(), models in "
        "float64 take it too.", TypeError),
    bad("NaN inputs", lambda: data(test_inputs=IMAGES * NAN),
        "test_inputs must be finite. Drop or fill samples with NaN or infinity."),
    bad("a label too few", lambda: data(train_targets=LABELS[:3]),
        "train_targets must have shape (4,), a target per input. Got (3,)."),
    bad("label of no class", lambda: data(num_classes=1),
        "train_targets must lie in [0, num_classes=1). Got 0 to 1."),
    bad("NaN to be predicted", lambda: data(task="denoising", num_classes=4, test_targets=IMAGES,
                                            train_targets=IMAGES * NAN),
        "train_targets must be finite. Drop or fill samples with NaN or infinity."),
    bad("fold out of range", lambda: data().validation(5),
        "fold must be in [0, folds) with folds >= 2. Got 5 of 5."),
    bad("more folds than samples", lambda: data().validation(0),
        "each class needs at least folds=5 training samples. The rarest has 2; lower folds or "
        "raise train_size."),
    bad("too few digits", lambda: digits(train_size=3),
        "train_size must be between 10 (one per class) and 888, or 898 for all. Got 3."),
    bad("patches that do not fit", lambda: matching(size=3, patch=2),
        "two patches must fit: need size >= 2 * patch. Got 3 and 2."),
    bad("votes that tie", lambda: planted(channels=2),
        "channels must be at least 1; for patterns='sign' channels must be odd and context even, "
        "so that votes never tie. Got channels=2, context=2."),
    bad("bits that are counts", lambda: data(task="binary", train_targets=BITS + 1,
                                             test_targets=BITS),
        "train_targets must hold 0 and 1, no or yes. Got 2."),
]
# fmt: on


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [*GEOMETRY, *GRAPH, *CONNECT, *OPS, *LAYERS, *MODELS, *DATA],
)
def test_wrong_values(call, error, message):
    assert str(raised(call, error)) == message


def files(folder: Path) -> dict[str, bytes | None]:
    """All that is below a folder: name -> content, None for a folder."""
    paths = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in paths}


def idx(*shape: int) -> bytes:
    """An IDX file of zeros."""
    sizes = b"".join(size.to_bytes(4, "big") for size in shape)
    return bytes([0, 0, 8, len(shape)]) + sizes + bytes(int(np.prod(shape)))


@pytest.fixture(scope="session")
def stored(tmp_path_factory) -> Path:
    """A run folder, an MNIST folder, an image folder, a file, an empty folder."""
    folder = tmp_path_factory.mktemp("stored")
    checkpoint.save(folder / "run", tiny(), step=4)
    for name in ("mnist", "images/a", "images/b", "empty"):
        (folder / name).mkdir(parents=True)
    for half in ("train", "t10k"):
        (folder / f"mnist/{half}-images-idx3-ubyte").write_bytes(idx(4, 2, 3))
        (folder / f"mnist/{half}-labels-idx1-ubyte").write_bytes(idx(4))
    for name in ("a/0", "a/1", "b/0", "b/1"):
        Image.new("RGB", (4, 4)).save(folder / f"images/{name}.png")
    (folder / "file").touch()
    return folder


@pytest.fixture
def folder(stored, tmp_path, monkeypatch) -> Path:
    """A copy of `stored` to work in."""
    copytree(stored, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def cut(path: Path, size: int = 5) -> None:
    """Take the last bytes of a file away."""
    path.write_bytes(path.read_bytes()[:-size])


def load(folder: Path, **changes) -> None:
    checkpoint.load(folder / "run", tiny(**changes))


def load_along(folder: Path, *pairs: tuple[int, int]) -> None:
    """Read the checkpoint into a model with other edges."""
    other = tiny()
    other.graph = graph(*pairs, columns=9)
    checkpoint.load(folder / "run", other)


def fit(folder: Path, run: str = "new", **changes) -> None:
    """Train the tiny model for a step."""
    parts = {"model": tiny(), "data": task(12), "steps": 1, "batch_size": 4, "progress": False}
    parts |= changes
    train(parts.pop("model"), parts.pop("data"), run=folder / run, **parts)


RESTORE = "Restore the checkpoint folder from a copy, or train again in another run folder."

# The call gets the folder; where there is a second function, it does the damage before.
# fmt: off
FILES = [
    bad("cut weights", (load, lambda f: cut(f / "run/checkpoint/model.safetensors")),
        "{folder}/run/checkpoint/model.safetensors is damaged (its content does not match the "
        f"digest in state.pt). {RESTORE}"),
    bad("cut edges", (load, lambda f: cut(f / "run/checkpoint/topology.safetensors")),
        f"{{folder}}/run/checkpoint/topology.safetensors is damaged ({{cause}}). {RESTORE}"),
    bad("cut state", (load, lambda f: cut(f / "run/checkpoint/state.pt")),
        f"{{folder}}/run/checkpoint/state.pt is damaged ({{cause}}). {RESTORE}"),
    bad("state of another program",
        (load, lambda f: torch.save({"format": 1, "step": 4}, f / "run/checkpoint/state.pt")),
        "{folder}/run/checkpoint/state.pt is damaged (it lacks train_seconds, optimizer, scaler, "
        f"weights_digest). {RESTORE}"),
    bad("missing edges", (load, lambda f: (f / "run/checkpoint/topology.safetensors").unlink()),
        "the checkpoint {folder}/run/checkpoint lacks topology.safetensors. Restore the folder "
        "from a copy, or train again in another run folder.", FileNotFoundError),
    bad("checkpoint of other edges", lambda f: load_along(f, (0, 0)),
        "{folder}/run/checkpoint/topology.safetensors holds another topology: num_edges is 17 "
        "there and 1 in the model. Build the graph from the config.yaml of this run, or take it "
        "from checkpoint.read_topology(run)."),
    bad("checkpoint of another model", lambda f: load(f, classes=5),
        "{folder}/run/checkpoint/model.safetensors holds the weights of another model: {cause}. "
        "Build the model from the config.yaml of this run."),
    bad("no run folder", lambda f: checkpoint.load(f / "nowhere", tiny()),
        "there is no run folder {folder}/nowhere.", FileNotFoundError),
    bad("no checkpoint", lambda f: checkpoint.load(f / "empty", tiny()),
        "there is no checkpoint in {folder}/empty: the run was stopped before its first one, or "
        "this is not a run folder.", FileNotFoundError),
    bad("no IDX folder", lambda f: mnist(f / "nowhere"),
        "There is no folder {folder}/nowhere. mnist(path) reads the four IDX files from it: "
        "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
        "t10k-labels-idx1-ubyte (plain or .gz).", FileNotFoundError),
    bad("no IDX file", lambda f: mnist(f / "empty"),
        "There is no train-images-idx3-ubyte and no train-images-idx3-ubyte.gz in {folder}/empty.",
        FileNotFoundError),
    bad("cut IDX file", (lambda f: mnist(f / "mnist"),
                         lambda f: cut(f / "mnist/t10k-images-idx3-ubyte")),
        "{folder}/mnist/t10k-images-idx3-ubyte must be 40 bytes long for shape (4, 2, 3). Got 35; "
        "the file is cut short or damaged, download it again."),
    bad("a label too few on disk", (lambda f: mnist(f / "mnist"),
                            lambda f: (f / "mnist/train-labels-idx1-ubyte").write_bytes(idx(3))),
        "train-images-idx3-ubyte and train-labels-idx1-ubyte in {folder}/mnist must have as many "
        "entries. Got 4 images and 3 labels."),
    bad("no image folder", lambda f: image_folder(f / "nowhere"),
        "There is no folder {folder}/nowhere; it must hold a folder per class.",
        FileNotFoundError),
    bad("no classes", lambda f: image_folder(f / "empty"),
        "{folder}/empty holds no sub-folder; there must be one per class.", FileNotFoundError),
    bad("class without images", (lambda f: image_folder(f / "images"),
                                 lambda f: (f / "images/c").mkdir()),
        "{folder}/images/c holds no image (.png, .jpg, .jpeg, .jpe, .jfif, .bmp, .gif, .tif, "
        ".tiff, .webp, .ppm, .pgm, .pbm, .pnm, .jp2, .tga, .avif).", FileNotFoundError),
    bad("cut image", (lambda f: image_folder(f / "images"),
                      lambda f: cut(f / "images/a/0.png", 30)),
        "{folder}/images/a/0.png cannot be read as an image: {cause}. Mend or remove it."),
    bad("too few images to split", lambda f: image_folder(f / "images", test_fraction=0.2),
        "both halves need an image of each of the 2 classes. Got test_fraction=0.2: 1 of 4 images "
        "to test, 3 to train."),
]

TRAIN = [
    bad("existing run folder", lambda f: fit(f, "run"),
        "run folder {folder}/run is not empty, and nothing is overwritten. Continue it with "
        "train(..., resume=True), or choose another: run=OTHER.", FileExistsError),
    bad("run below a file", lambda f: fit(f, "file/run"),
        "run folder {folder}/file/run cannot be made: {folder}/file is a file. Choose another: "
        "run=FOLDER.", NotADirectoryError),
    bad("steps and epochs", lambda f: fit(f, epochs=2),
        "give either steps or epochs, the other null. Got steps=1 and epochs=2."),
    bad("no step", lambda f: fit(f, steps=0), "steps must be at least 1. Got 0."),
    bad("negative lr", lambda f: fit(f, lr=-0.1), "lr must be above 0. Got -0.1."),
    bad("lr is text", lambda f: fit(f, lr="0.1"), "lr must be a number. Got '0.1'.", TypeError),
    bad("warmup above 1", lambda f: fit(f, warmup=1.5),
        "warmup is a share and must be in [0, 1]. Got 1.5."),
    bad("one beta", lambda f: fit(f, betas=0.9),
        "betas must be two numbers in [0, 1). Got 0.9."),
    bad("more parts than samples", lambda f: fit(f, grad_accumulation=5),
        "grad_accumulation splits a batch, so it cannot exceed batch_size. Got 5 > 4."),
    bad("the name of a learning rule", lambda f: fit(f, learn="counter_hebb"),
        "learn must be a function, such as learning.counter_hebb. Got 'counter_hebb'; import it "
        "from graphcolumns.learning.", TypeError),
    bad("unknown precision", lambda f: fit(f, amp="fp16"),
        "amp must be None (null), 'bfloat16' or 'float16'. Got 'fp16'."),
    bad("unknown device", lambda f: fit(f, device="tpu"),
        "device must be 'cpu', 'cuda' or 'cuda:N'. Got 'tpu'."),
    bad("other classes", lambda f: fit(f, model=tiny(classes=2)),
        "the model must return a prediction [B, 3], one value for each of the 3 classes of "
        "Dataset(train=12, test=12, inputs=(1, 3, 3), num_classes=3, task='classification'). Got "
        "[2, 2] for 2 samples; build the model with num_classes=3, or num_outputs=3 if that is "
        "what it is called there."),
    bad("model without graph", lambda f: fit(f, model=torch.nn.Linear(3, 3)),
        "model.graph must be a ColumnGraph. Got NoneType from Linear; keep the edges there, "
        "self.graph = graph. What is trained without edges needs a loop of its own.", TypeError),
    bad("one prediction for all samples", lambda f: fit(f, model=MeanOfBatch()),
        "a prediction must have one row per sample, [B, ...] with B = 2. Got [1, 3]; columns come "
        "first in a state [N, B, C], samples in a prediction."),
    bad("misspelt option", lambda f: fit(f, stpes=20),
        "options of train must be fields of TrainOptions: steps, epochs, batch_size, lr, "
        "weight_decay, betas, warmup, min_lr, clip, optimizer, schedule, grad_accumulation, amp, "
        "compile, checkpoint_every, evaluate_every, evaluate_test, best, seed, progress, "
        "tensorboard, device, changes. Got stpes. Did you mean 'steps'?", TypeError),
    bad("loss without weight", lambda f: fit(f, losses={"activity": TERMS["activity"]}),
        "losses must map names to (weight, term), such as 'activity': (0.1, TERMS['activity']). "
        f"Got 'activity': {TERMS['activity']!r}.", TypeError),
    bad("NaN weight of a loss", lambda f: fit(f, losses={"activity": (NAN, TERMS["activity"])}),
        "the weight of the loss 'activity' must be finite. Got nan."),
    bad("permutation of other columns", lambda f: fit(f, permutation=ids(1, 0)),
        "permutation must hold the user's id of each column, an int64 tensor [N] = [9]. "
        "Got torch.int64 [2]."),
]
# fmt: on


@pytest.mark.parametrize(("call", "error", "message"), [*FILES, *TRAIN])
def test_wrong_files_and_training(folder, call, error, message):
    call, damage = call if isinstance(call, tuple) else (call, lambda folder: None)
    damage(folder)
    before = files(folder)
    caught = raised(lambda: call(folder), error)
    message = message.replace("{folder}", str(folder)).replace("{cause}", str(caught.__cause__))
    assert str(caught) == message
    assert files(folder) == before


CHOICES = "csv, distance_decay, isolated, layered, nearest, random, within_radius"

# What follows `graphcolumns` on the command line.
# fmt: off
COMMANDS = [
    bad("unknown command", ["trian"],
        "unknown command 'trian'. Did you mean `graphcolumns train`? Commands: train, resume, "
        "evaluate, report, collect, connectome, experiment, bench, build-kernels; "
        "see `graphcolumns --help`."),
    bad("report of no run", ["report", "nowhere"],
        "there is no nowhere/config.yaml: nowhere is not a run folder."),
    bad("collect from nowhere", ["collect", "nowhere"], "there is no folder nowhere."),
    bad("collect without runs", ["collect", "."],
        "there is no finished run below .: no summary.json. Did the sweep finish?"),
    bad("connectome of nowhere", ["connectome", "nowhere.npy"],
        "There is no file nowhere.npy. It must be a table: text (.csv, .tsv, .txt), .npy or "
        ".npz."),
    bad("connectome of no run", ["connectome", "empty"],
        "there is no empty/config.yaml: empty is not a run folder."),
    bad("connectome into a folder that exists", ["connectome", "nowhere.npy", "--out", "run"],
        "run must not exist: nothing is overwritten. Choose another folder, or remove it."),
    bad("no command", ["graph=nearest"],
        "unknown command 'graph=nearest'. Did you mean `graphcolumns train`? Commands: train, "
        "resume, evaluate, report, collect, connectome, experiment, bench, build-kernels; "
        "see `graphcolumns --help`."),
    bad("misspelt key", ["train", "graph.degre=3"],
        "unknown key 'graph.degre'. Did you mean 'degree'? Keys in graph: degree, self_loops. "
        "graphcolumns.connect.nearest takes nothing else; choose another, graph=CHOICE."),
    bad("option of a rule without options", ["train", "plasticity=static", "plasticity.every=5"],
        "unknown key 'plasticity.every'. There are no keys in plasticity. "
        "graphcolumns.plasticity.presets.static takes nothing else; choose another, "
        "plasticity=CHOICE."),
    bad("misspelt option of a rule without options",
        ["train", "plasticity=sernn", "plasticity.evry=5"],
        "unknown key 'plasticity.evry'. There are no keys in plasticity. "
        "graphcolumns.plasticity.presets.sernn takes nothing else; choose another, "
        "plasticity=CHOICE."),
    bad("key that may be added", ["train", "plasticity=exact", "plasticity.regrow=true"],
        "unknown key 'plasticity.regrow'. Did you mean 'per_grow'? Keys in plasticity: every, "
        "start, stop, fraction, degree, sampler, per_grow, tolerance, groups, standard_errors, "
        "margin, grace, first_value, epsilon_share, samples, check_samples, reserve. regrow is an "
        "argument of graphcolumns.plasticity.presets.exact, added with a plus: "
        "+plasticity.regrow=VALUE."),
    bad("no such key", ["train", "plasticity=exact", "plasticity.near=null"],
        "unknown key 'plasticity.near'. Keys in plasticity: every, "
        "start, stop, fraction, degree, sampler, per_grow, tolerance, groups, standard_errors, "
        "margin, grace, first_value, epsilon_share, samples, check_samples, reserve. With a plus, "
        "as in +plasticity.watch_movement=VALUE, graphcolumns.plasticity.presets.exact takes "
        "watch_movement, accept, regrow, cool_down, constraints, overhead, skip_optimizer_step."),
    bad("misspelt group", ["train", "optimiser.lr=1"],
        "unknown key 'optimiser.lr'. Did you mean 'optimizer'? Keys: graph, model, data, "
        "optimizer, learning, name, degree, seed, run, epochs, steps, batch_size, losses, metrics, "
        "plasticity, augmentation, fold, evaluate_test, evaluate_every, best, reorder, device, "
        "amp, compile, grad_accumulation, "
        "checkpoint_every, progress, report, tensorboard, geometry."),
    bad("unknown choice", ["train", "graph=neerest"],
        "unknown choice 'neerest' for graph. Did you mean 'nearest'? Choices: "
        f"between_areas, complete, connectome, {CHOICES}."),
    bad("unknown budget", ["train", "budget=params"],
        "unknown choice 'params' for budget. Did you mean 'parameters'? Choices: flops, "
        "parameters, null."),
    bad("text for a number", ["train", "steps=abc"],
        "steps must be a whole number or null. Got 'abc'."),
    bad("number for a list", ["train", "geometry.widths=8"],
        "geometry.widths must be a list of a whole number. Got 8."),
    bad("text for a weight", ["train", "losses.wiring=x"],
        "losses.wiring must be a number. Got 'x'."),
    bad("unknown split", ["train", "data.split=half"],
        "data.split must be one of 'halves', 'random'. Got 'half'. Did you mean 'halves'?"),
    bad("missing value", ["train", "data=mnist"], "these keys need a value: data.path=..."),
    bad("missing surface", ["train", "geometry=surface"],
        "these keys need a value: geometry.path=..."),
    bad("missing folder", ["train", "data=image_folder", "data.path=nowhere"],
        "There is no folder {folder}/nowhere; it must hold a folder per class.\n"
        "(while building data with graphcolumns.data.image_folder)"),
    bad("layers without sheets", ["train", "geometry=sheet", "graph=layered"],
        "layered needs the area of each column. Got areas=None; set areas.\n"
        "(while building graph with graphcolumns.connect.layered)"),
    bad("degree of a small sheet", ["train", "geometry=sheet", "graph.degree=65"],
        "degree must be in [1, 64], since there are 64 columns to choose from. Got 65.\n"
        "(while building graph with graphcolumns.connect.nearest)"),
    bad("heads of a narrow column", ["train", "model.channels=10", "model.heads=3"],
        "heads must divide channels, got 3 heads and 10\n"
        "(while building model with graphcolumns.models.columnformer.sheet)"),
    bad("dropout above 1", ["train", "model.weights.dropout=1.5"],
        "dropout must be in [0, 1), got 1.5\n"
        "(while building model with graphcolumns.models.columnformer.sheet)"),
    bad("wiring loss without cost", ["train", "losses.wiring=1"],
        "the loss term 'wiring' cannot be computed: Columnformer has no cost: build it with a "
        "wiring cost (model.cost.wiring=distance; in Python cost={'wiring': 'distance'}), or set "
        "the weight of 'wiring' to 0.\n"
        "(while trying two samples)"),
    bad("impossible augmentation", ["train", "augmentation.degrees=-3"],
        "need degrees >= 0, translate >= 0, 0 <= scale < 1 and 0 <= shear < 90. Got -3, 0.08, 0.1 "
        "and 10.0.\n(while trying two samples)"),
    bad("fold out of range on the command line", ["train", "fold=5"],
        "fold must be in [0, folds) with folds >= 2. Got 5 of 5."),
    bad("existing folder", ["train", "run=run"],
        "run folder run is not empty, and nothing is overwritten. Continue it with "
        "train(..., resume=True), or choose another: run=OTHER."),
    bad("folder below a file", ["train", "run=file/run"],
        "run folder file/run cannot be made: {folder}/file is a file. Choose another: run=FOLDER."),
    bad("sweep into one folder", ["train", "seed=0,1", "-m", "run=x"],
        "a sweep writes one run folder per combination: instead of run=..., say "
        "hydra.sweep.dir=FOLDER."),
    bad("no folder of groups", ["train", "--config-dir", "nowhere"],
        "--config-dir must be a folder of config groups. Got 'nowhere'."),
    bad("resume nothing", ["resume", "nowhere"],
        "there is no nowhere/config.yaml: nowhere is not a run folder."),
    bad("evaluate a run of train in Python", ["evaluate", "run"],
        "there is no run/config.yaml: run was trained by `train` in Python, which writes no "
        "configuration. Continue it with train(..., resume=True); to read it, build its model and "
        "call checkpoint.load(run, model)."),
    bad("evaluate nothing", ["evaluate", "empty"],
        "there is no empty/config.yaml: empty is not a run folder."),
]
# fmt: on


@pytest.mark.parametrize(("arguments", "error", "message"), COMMANDS)
def test_wrong_commands(folder, capsys, arguments, error, message):
    before = files(folder)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err == f"graphcolumns: {message.replace('{folder}', str(folder))}\n"
    assert out == ""
    assert files(folder) == before


def test_a_damaged_configuration(folder, capsys):
    (folder / "run/config.yaml").write_text("steps: [1\n")
    before = files(folder)
    for command in ("resume", "evaluate"):
        assert main([command, "run"]) == 2
        err = capsys.readouterr().err
        assert err.startswith("graphcolumns: run/config.yaml is damaged (while parsing")
        assert err.endswith("). Restore it from a copy.\n")
    assert files(folder) == before
