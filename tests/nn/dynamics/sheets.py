"""Random energy transformers."""

import torch

from graphcolumns import ColumnGraph
from graphcolumns.nn.dynamics import EnergyTransformer


def random_sheet(seed=0, n=7, b=3, c=5, h=2, d=4, k=6, untied=False, scale=1.0, **options):
    """A circuit in float64 and states; some columns have no in-edge, some no out-edge."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return scale * torch.randn(*shape, dtype=torch.float64, generator=generator)

    pairs = torch.randperm(n * n, generator=generator)[: max(1, 2 * n)]
    graph = ColumnGraph.from_edge_index(torch.stack([pairs % n, pairs // n]), n)
    columns = (n,) if untied else ()
    circuit = EnergyTransformer(
        graph,
        query=draw(*columns, c, h, d),
        key=draw(*columns, c, h, d),
        memory=draw(*columns, c, k),
        gain=0.5 + torch.rand(columns, dtype=torch.float64, generator=generator),
        offset=draw(*columns, c),
        bias=draw(graph.num_edges, h) if options.pop("biased", untied) else None,
        **options,
    )
    return circuit, draw(n, b, c) / scale
