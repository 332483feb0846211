"""Networks of random populations and layers: an image, columns behind it, a prediction."""

import torch
from hypothesis import strategies as st

from graphcolumns import ColumnGraph
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown
from graphcolumns.nn.top_down import (
    FrozenNorm,
    FrozenRMSNorm,
    Identity,
    Population,
    Projection,
    Reshape,
    TopDownAttention,
    TopDownAveragePool,
    TopDownConv2d,
    TopDownEdges,
    TopDownLayer,
    TopDownLinear,
    TopDownNetwork,
    TopDownUntied,
)

CLASSES = 3


class PixelColumns(TopDownLayer):
    """A column per pixel: a layer of one's own, of two methods."""

    def forward(self, x):
        return x.flatten(2).permute(2, 0, 1)

    def top_down(self, counter, shape, x=None):
        return counter.permute(1, 2, 0).reshape(shape)


class SamplesFirst(TopDownLayer):
    """Columns as images of one row, for a dense layer behind them."""

    def forward(self, x):
        return x.permute(1, 2, 0)[:, :, None]

    def top_down(self, counter, shape, x=None):
        return counter[:, :, 0].permute(2, 0, 1)


@st.composite
def instructed_networks(draw):
    """A model in float64, with an instruction or without."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    populations, projections = {}, []
    image = (draw(st.sampled_from([2, 4])), draw(st.integers(4, 6)), draw(st.integers(4, 6)))
    populations["input"] = Population(image, "identity")
    name = _images(draw, populations, projections)
    name = _columns(draw, name, populations, projections)
    sizes = populations[name].sizes
    if draw(st.booleans()):
        populations["flat"] = Population((sizes[1], 1, sizes[0]), "identity")
        populations["prediction"] = Population(CLASSES, "identity")
        projections.append(Projection(name, "flat", SamplesFirst()))
        head = TopDownLinear(sizes[0] * sizes[1], CLASSES)
        projections.append(Projection("flat", "prediction", head))
        _edges_somewhere(populations, projections, name)
    else:
        populations["prediction"] = Population((CLASSES, sizes[1]), "identity", columns=True)
        head = TopDownEdges(complete(CLASSES, sizes[0]))
        projections.append(Projection(name, "prediction", head))
    task = None
    if draw(st.booleans()):
        task = "task"
        populations[task] = Population((2, sizes[1]), "identity", columns=True)
        instructed = TopDownEdges(complete(2, sizes[0]), bias=False)
        projections.append(Projection(name, task, instructed))
    network = TopDownNetwork(populations, draw(st.permutations(projections)))
    skips, sweeps = draw(st.booleans()), 1 if task is None else draw(st.integers(1, 2))
    model = BottomUpTopDown(network, task=task, sweeps=sweeps, skip_closed=skips).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
        for layer in network.layers:
            if isinstance(layer, FrozenNorm):
                layer.mean.normal_()
                layer.variance.uniform_(0.5, 2)
    return model


def _edges_somewhere(populations, projections, name):
    """A model must have a graph: one column that the prediction does not depend on."""
    sizes = populations[name].sizes
    populations["aside"] = Population((1, sizes[1]), columns=True)
    projections.append(Projection(name, "aside", TopDownEdges(complete(1, sizes[0]))))


def _images(draw, populations, projections):
    """Convolutions, blocks with a way around, pooling and norms; the name of the last."""
    name = "input"
    for depth in range(draw(st.integers(0, 2))):
        channels, height, width = populations[name].sizes
        groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
        kernel, stride = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        out = groups * draw(st.integers(1, 2))
        layer = TopDownConv2d(channels, out, kernel, stride, kernel // 2, 1, groups)
        size = layer.windows.out_size((height, width))
        block, above = f"conv {depth}", Population((out, *size), "identity")
        populations[block] = above
        projections.append(Projection(name, block, layer))
        norm = draw(st.sampled_from([None, FrozenNorm, FrozenRMSNorm]))
        name = f"image {depth}"
        populations[name] = Population((out, *size))
        projections.append(Projection(block, name, norm((out, *size)) if norm else Identity()))
        if draw(st.booleans()):
            around = TopDownConv2d(out, out, 3, padding=1, bias=draw(st.booleans()))
            populations[f"block {depth}"] = Population((out, *size))
            projections.append(Projection(name, f"block {depth}", around))
            projections.append(Projection(name, f"block {depth}", Identity()))
            name = f"block {depth}"
    channels, height, width = populations[name].sizes
    if min(height, width) >= 2 and draw(st.booleans()):
        pool = TopDownAveragePool(2, draw(st.integers(1, 2)))
        size = pool.windows.out_size((height, width))
        populations["pooled"] = Population((channels, *size), "identity")
        projections.append(Projection(name, "pooled", pool))
        name = "pooled"
    return name


def _columns(draw, name, populations, projections):
    """A random graph of populations of columns, some of them steps of one layer."""
    channels, height, width = populations[name].sizes
    pixels = height * width
    populations["columns 0"] = Population((pixels, channels), "identity", columns=True)
    above = populations["columns 0"]
    bridge = PixelColumns() if draw(st.booleans()) else Reshape(populations[name], above)
    projections.append(Projection(name, "columns 0", bridge))
    made, steps = ["columns 0"], []
    for depth in range(1, draw(st.integers(2, 5))):
        target = draw(st.sampled_from([pixels, pixels // 2 + 1])), draw(st.sampled_from([1, 2, 4]))
        name = f"columns {depth}"
        populations[name] = Population(target, columns=True)
        for source in draw(st.lists(st.sampled_from(made), min_size=1, max_size=2)):
            below = populations[source].sizes
            again = [layer for sizes, layer in steps if sizes == (below, target)]
            if again and draw(st.booleans()):
                layer = draw(st.sampled_from(again))
            else:
                layer = _layer(draw, below, target)
                steps.append(((below, target), layer))
            projections.append(Projection(source, name, layer))
        made.append(name)
    return made[-1]


def _layer(draw, below, above):
    (sources, channels), (columns, out) = below, above
    kinds = ["attention"]
    kinds += ["edges"] if channels == out else []
    kinds += ["untied"] if sources == columns else []
    kinds += ["norm", "rms", "identity"] if below == above else []
    kind = draw(st.sampled_from(kinds))
    heads = draw(st.sampled_from([h for h in (1, 2, 4) if out % h == 0]))
    if kind == "untied":
        return TopDownUntied(columns, channels, out, bias=draw(st.booleans()))
    if kind == "attention":
        origins = ["queries", *(["fixed", "values"] if sources == columns else [])]
        graph = random_graph(columns, sources)
        return TopDownAttention(graph, channels, out, heads, draw(st.sampled_from(origins)))
    if kind == "edges":
        return TopDownEdges(random_graph(columns, sources), heads=heads)
    if kind == "identity":
        return Identity()
    return (FrozenNorm if kind == "norm" else FrozenRMSNorm)(above, True)


def complete(columns, sources):
    """Edges between all pairs."""
    pairs = torch.cartesian_prod(torch.arange(columns), torch.arange(sources)).T
    return ColumnGraph.from_edge_index(pairs.flip(0), columns, num_sources=sources)


def random_graph(columns, sources=None):
    """Edges with probability 0.3, among them one at least."""
    sources = columns if sources is None else sources
    edges = torch.rand(columns, sources) < 0.3
    edges[0, 0] = True
    return ColumnGraph.from_edge_index(edges.nonzero().T.flip(0), columns, num_sources=sources)
