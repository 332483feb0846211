"""Cuts of a sheet into ranks, and what a rank keeps; no process is started."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geometries import grid, sphere
from graphcolumns import ColumnGraph, connect
from graphcolumns.distributed.halo import Halo, plan_halos
from graphcolumns.distributed.partition import Partition, shard_graph, shard_rows


def ring(columns):
    """Every column receives from the one before and the one behind it."""
    ids = torch.arange(columns)
    source = torch.cat([(ids - 1) % columns, (ids + 1) % columns])
    return ColumnGraph.from_edge_index(torch.stack([source, ids.repeat(2)]), columns)


@st.composite
def ragged(draw):
    """Any edges, also none, hubs and columns without in-edges, cut anyhow."""
    columns = draw(st.integers(1, 40))
    blocks = draw(st.integers(1, columns))
    ranks = draw(st.integers(1, min(blocks, 5)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    mask = torch.rand(columns, columns, generator=generator) < draw(st.sampled_from([0, 0.1, 0.9]))
    if draw(st.booleans()):
        mask[0] = mask[:, -1] = True
    source, target = mask.t().nonzero().t()
    graph = ColumnGraph.from_edge_index(torch.stack([source, target]), columns)
    return graph, Partition(columns, ranks, blocks)


def shards_of(graph, partition):
    return [shard_graph(graph, partition, rank) for rank in range(partition.ranks)]


class TestPartition:
    def test_by_hand(self):
        """Ten columns in four blocks begin at 0, 2, 5 and 7; two ranks get two blocks each."""
        cut = Partition(10, 2, blocks=4)
        assert cut.block_bounds.tolist() == [0, 2, 5, 7, 10]
        assert cut.bounds.tolist() == [0, 5, 10]
        assert cut.columns_of(1) == (5, 10)
        assert cut.owner(torch.tensor([0, 4, 5, 9])).tolist() == [0, 0, 1, 1]

    @pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7, 96])
    def test_ranges_end_on_blocks_and_are_even(self, ranks):
        cut = Partition(65_536, ranks)
        sizes = cut.bounds.diff()
        assert int(sizes.sum()) == 65_536
        assert set(cut.bounds.tolist()) <= set(cut.block_bounds.tolist())
        if 96 % ranks == 0:
            assert int(sizes.max() - sizes.min()) <= 1

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ((8, 9), "ranks <= blocks <= columns. Got 9 ranks, 8 blocks and 8 columns"),
            ((8, 3, 2), "Got 3 ranks, 2 blocks"),
            ((8, 2, 9), "Got 2 ranks, 9 blocks and 8 columns"),
            ((0, 1), "num_columns must be 1 or above. Got 0"),
            ((8, 0), "ranks must be 1 or above. Got 0"),
        ],
    )
    def test_ranks_without_columns_are_refused(self, given, message):
        with pytest.raises(ValueError, match=message):
            Partition(*given)


class TestShard:
    def test_by_hand(self):
        """Columns 3 to 5 of a ring of 9 receive from 2 and 6, one before and one behind them."""
        graph = ring(9)
        shard = shard_graph(graph, Partition(9, 3, blocks=3), 1)
        assert shard.columns == (3, 6)
        assert shard.sources.tolist() == [2, 3, 4, 5, 6]
        assert shard.foreign.tolist() == [2, 6]
        assert (shard.below, shard.first_edge) == (1, 6)
        assert shard.graph.edge_index.tolist() == [[0, 2, 1, 3, 2, 4], [0, 0, 1, 1, 2, 2]]

    @settings(max_examples=60, deadline=None)
    @given(ragged())
    def test_the_edges_of_all_shards_are_those_of_the_graph(self, drawn):
        graph, partition = drawn
        found = []
        for shard in shards_of(graph, partition):
            first, _ = shard.columns
            assert shard.first_edge == sum(len(edges[0]) for edges in found)
            ends = shard.sources[shard.graph.source.long()], shard.graph.target.long() + first
            found.append(torch.stack(ends))
        assert torch.equal(torch.cat(found, 1), graph.edge_index)

    def test_lengths_and_name_stay_with_their_edges(self):
        graph = connect.nearest(grid.sheet(6, 6), 5).named("lateral")
        shards = shards_of(graph, Partition(36, 4))
        assert torch.equal(torch.cat([s.graph.distance for s in shards]), graph.distance)
        assert {s.graph.name for s in shards} == {"lateral"}

    def test_wrong_rows(self):
        cut = Partition(9, 3, blocks=3)
        with pytest.raises(ValueError, match=r"rank 1 owns the columns 3 to 5, 3 rows. Got 2 rows"):
            shard_rows(torch.tensor([0, 1, 2]), torch.tensor([0, 1]), None, cut, 1, 0)
        with pytest.raises(ValueError, match=r"sources must be columns, 0 to 8. Got 0 to 9"):
            shard_rows(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 9]), None, cut, 1, 0)
        with pytest.raises(ValueError, match=r"rank must be 0 to 2. Got 3"):
            shard_graph(ring(9), cut, 3)
        with pytest.raises(ValueError, match=r"between the columns of the partition. Got .*12 col"):
            shard_graph(ring(9), Partition(12, 3), 0)


class TestPlans:
    def test_by_hand(self):
        """In a ring of 9 on 3 ranks, the middle one sends its first column down, its last up."""
        halo = plan_halos(shards_of(ring(9), Partition(9, 3, blocks=3)))[1]
        assert halo.send.tolist() == [0, 2]
        assert halo.send_counts == (1, 0, 1)
        assert halo.receive_counts == (1, 0, 1)
        # Two rows out, and two gradients back.
        assert halo.bytes_sent(row=4 * 16) == 4 * 64
        assert halo.bytes_sent(row=4 * 16, backward=False) == 2 * 64

    @settings(max_examples=60, deadline=None)
    @given(ragged())
    def test_what_one_sends_another_receives(self, drawn):
        """Rows that carry their column: each rank ends with exactly its sources, in order."""
        graph, partition = drawn
        shards = shards_of(graph, partition)
        halos = plan_halos(shards)
        for i, one in enumerate(halos):
            for j, other in enumerate(halos):
                assert one.send_counts[j] == other.receive_counts[i]
        parts = [
            (halo.send + shard.columns[0]).split(halo.send_counts)
            for halo, shard in zip(halos, shards, strict=True)
        ]
        for rank, shard in enumerate(shards):
            received = [part[rank] for part in parts]
            own = torch.arange(*shard.columns)
            whole = torch.cat([*received[:rank], own, *received[rank:]])
            assert torch.equal(whole, shard.sources)

    def test_counts_that_do_not_agree_are_refused(self):
        with pytest.raises(ValueError, match=r"a plan has counts for every rank"):
            Halo(torch.tensor([0]), (0, 2), (0, 1), 0)
        with pytest.raises(ValueError, match=r"own rows are not exchanged. Got 1 sent"):
            Halo(torch.tensor([0]), (1, 0), (0, 0), 0)


def halo_share(graph, ranks):
    """Rows that a rank needs of others, per own row, mean over ranks."""
    shards = shards_of(graph, Partition(graph.num_columns, ranks))
    return sum(len(s.foreign) for s in shards) / graph.num_columns


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: grid.sheet(64, 64), {2: 0.095, 4: 0.196, 16: 0.61}),
        (lambda: sphere.fibonacci(4096), {2: 0.160, 4: 0.331, 16: 0.86}),
    ],
    ids=["sheet", "sphere"],
)
def test_halo_of_nearest_columns(make, expected):
    """Degree 32, along a Hilbert curve: the rows needed grow with the length of the cut."""
    graph = connect.nearest(make().reorder()[0], 32)
    for ranks, share in expected.items():
        assert halo_share(graph, ranks) == pytest.approx(share, rel=0.05)


def test_halo_of_random_sources():
    """k random in-edges: a column of another rank is needed with probability 1 - exp(-k / R)."""
    n, ranks, k = 4000, 4, 2
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(n, (k * n,), generator=generator)
    pairs = torch.stack([source, torch.arange(n).repeat(k)])
    graph = ColumnGraph.from_edge_index(torch.unique(pairs, dim=1), n)
    expected = ranks * (1 - 1 / ranks) * -torch.expm1(torch.tensor(-k / ranks))
    assert halo_share(graph, ranks) == pytest.approx(float(expected), rel=0.05)


@pytest.mark.slow
def test_bisection_cuts_a_folded_cortex_less_than_a_hilbert_curve():
    """The left hemisphere on two ranks: a curve in space jumps between the walls of a sulcus."""
    pytest.importorskip("nilearn")
    from geometries import cortex

    whole = cortex.fsaverage(level=5, hemisphere="left", medial_wall=False)
    shares = {
        order: halo_share(connect.nearest(whole.reorder(order)[0], 32), 2)
        for order in ("hilbert", "bisection")
    }
    assert shares["bisection"] <= 0.7 * shares["hilbert"]
