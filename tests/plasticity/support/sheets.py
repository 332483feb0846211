"""Small graphs to rewire, and hypothesis strategies for them."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import Rewiring, rewire

# Four columns on a line, eight edges, by edge id (target <- source):
# 0: 0<-0   1: 0<-1   2: 1<-0   3: 1<-2   4: 2<-1   5: 2<-2   6: 2<-3   7: 3<-0
EIGHT = torch.tensor([[0, 1, 0, 2, 1, 2, 3, 0], [0, 0, 1, 1, 2, 2, 2, 3]])


def line(num_columns: int = 4) -> Geometry:
    return Geometry(torch.stack([torch.arange(num_columns), torch.zeros(num_columns)], 1).float())


def eight() -> ColumnGraph:
    geometry = line()
    return ColumnGraph.from_edge_index(EIGHT, 4, distance=geometry.distance(EIGHT[1], EIGHT[0]))


def eight_rewired(**options) -> Rewiring:
    """Edges 1 and 6 die; 0<-3, 2<-0 and 3<-3 are born."""
    grow = torch.tensor([3, 0, 2]), torch.tensor([3, 3, 0])
    return rewire(eight(), torch.tensor([6, 1]), grow, line(), **options)


def pairs(graph: ColumnGraph) -> list[tuple[int, int]]:
    """(target, source) of every edge."""
    return list(zip(graph.target.tolist(), graph.source.tolist(), strict=True))


def pair_tensors(chosen: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    columns = torch.tensor(chosen, dtype=torch.int64).reshape(-1, 2).t()
    return columns[0], columns[1]


@st.composite
def graphs(draw, least_columns: int = 2, most_columns: int = 12, least_edges: int = 0):
    """A graph on a random plane, measured."""
    n = draw(st.integers(least_columns, most_columns))
    every = [(t, s) for t in range(n) for s in range(n)]
    chosen = draw(st.lists(st.sampled_from(every), unique=True, min_size=least_edges))
    targets, sources = pair_tensors(chosen)
    positions = torch.rand(n, 2, generator=torch.Generator().manual_seed(n))
    geometry = Geometry(positions)
    distance = geometry.distance(targets, sources)
    return ColumnGraph.from_edge_index(torch.stack([sources, targets]), n, distance=distance)


def plane(graph: ColumnGraph) -> Geometry:
    """The geometry that `graphs` measured with."""
    n = graph.num_columns
    return Geometry(torch.rand(n, 2, generator=torch.Generator().manual_seed(n)))


@st.composite
def rewirings(draw, keep_regrown: bool = False):
    """A random change of a random graph; dropped edges may be grown again."""
    graph = draw(graphs())
    drop = draw(st.sets(st.integers(0, max(graph.num_edges - 1, 0))))
    drop = sorted(drop) if graph.num_edges else []
    alive = set(pairs(graph)) - {pairs(graph)[e] for e in drop}
    every = [(t, s) for t in range(graph.num_columns) for s in range(graph.num_columns)]
    absent = [pair for pair in every if pair not in alive]
    grow = draw(st.lists(st.sampled_from(absent), unique=True)) if absent else []
    drop = torch.tensor(drop, dtype=torch.int64)
    return rewire(graph, drop, pair_tensors(grow), plane(graph), keep_regrown=keep_regrown)
