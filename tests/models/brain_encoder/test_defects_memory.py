"""Memory of read-outs: defects that such encoders have had, after Adeli et al."""

from functools import partial
from itertools import pairwise

import torch

from graphcolumns.geometry import Regions
from graphcolumns.models.brain_encoder import (
    VertexReadout,
    brain_encoder,
    one_per_vertex,
    region_edges,
)
from tests.models.brain_encoder.support.small import DECODER, F, M, encoder


def saved_bytes(run) -> tuple[int, list[tuple[int, ...]]]:
    """Bytes and shapes of what the backward pass of ``run()`` keeps, each storage once."""
    storages, shapes = {}, []

    def keep(tensor):
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        shapes.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = run()  # alive until all is counted: an address is given away only once
    assert out is not None
    return sum(storages.values()), shapes


def striped(vertices: int, count: int) -> Regions:
    masks = {f"r{n}": torch.arange(vertices) % count == n for n in range(count)}
    return Regions.from_masks(masks)


def test_reading_regions_keeps_no_mask_per_sample():
    """A read-out of R regions costs edges times channels, never samples, vertices and regions."""
    batch, vertices, count, channels = 16, 2000, 50, 32
    read = VertexReadout(region_edges(striped(vertices, count)), channels)
    states = torch.randn(count, batch, channels, requires_grad=True)
    kept, shapes = saved_bytes(lambda: read(states))
    tiled = batch * vertices * count * 4
    assert kept < tiled / 4
    assert max(map(numel, shapes)) < batch * vertices * count / 10
    # Twice as many regions, each vertex still in one: as much is kept, but for the states.
    finer = VertexReadout(region_edges(striped(vertices, 2 * count)), channels)
    more = torch.randn(2 * count, batch, channels, requires_grad=True)
    assert saved_bytes(lambda: finer(more))[0] < 1.5 * kept


def numel(shape: tuple[int, ...]) -> int:
    return torch.Size(shape).numel()


def test_a_query_per_vertex_makes_nothing_of_vertices_times_vertices():
    """The read-out of V queries by V vertices takes V times C products, its diagonal alone."""
    batch, channels = 4, 16
    kept = {}
    for vertices in (500, 1000, 2000):
        read = VertexReadout(one_per_vertex(vertices), channels)
        states = torch.randn(vertices, batch, channels, requires_grad=True)
        kept[vertices], shapes = saved_bytes(partial(read, states))
        assert max(map(numel, shapes)) <= vertices * batch * channels
        assert all(shape.count(vertices) < 2 for shape in shapes)
    # Linear in V: twice the vertices, twice the bytes.
    for fewer, more in pairwise(kept.values()):
        assert 1.8 < more / fewer < 2.2


def test_the_diagonal_is_that_of_the_product():
    """What is left out of the product of all vertices with all queries changes no response."""
    read = VertexReadout(one_per_vertex(40), 8).double()
    states = torch.randn(40, 3, 8, dtype=torch.float64)
    all_of_them = torch.einsum("wbc,vc->bvw", states, read.weight) + read.bias[:, None]
    expected = all_of_them.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(read(states), expected, rtol=1e-12, atol=1e-12)


def test_vertices_in_parts_keep_the_memory_of_a_part():
    """With a chunk, memory between forward and backward does not grow with vertices times heads."""
    x = torch.randn(4, M, F)

    def kept(vertices: int, chunk: int | None) -> int:
        model = brain_encoder(
            vertices, queries="vertices", tokens=(M, F), edges="unlisted", chunk=chunk,
            decoder=DECODER,
        )  # fmt: skip
        return saved_bytes(lambda: model(x).prediction)[0]

    whole, parts = kept(2000, None), kept(2000, 100)
    assert parts < whole / 20


def test_vertices_in_parts_are_the_same_model():
    """The chunk changes memory, neither responses nor gradients beyond rounding."""
    x, found = torch.randn(4, M, F), {}
    for chunk in (None, 7):
        model = encoder(queries="vertices", edges="unlisted", chunk=chunk)
        prediction = model(x).prediction
        prediction.square().sum().backward()
        found[chunk] = prediction, [p.grad for p in model.parameters()]
    torch.testing.assert_close(found[None], found[7], rtol=1e-4, atol=1e-4)
