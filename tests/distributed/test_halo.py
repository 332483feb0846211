"""Rows exchanged between ranks: attention of a part of the sheet is that of the whole."""

import pytest
import torch

from tests.distributed.support.halo_ranks import GRAPHS, SIZES, ragged, whole, work

# Four processes import torch.
pytestmark = pytest.mark.slow
DTYPES = (torch.float32, torch.float64)


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> list[dict]:
    """What each of four processes has to tell."""
    folder = str(tmp_path_factory.mktemp("halo"))
    torch.multiprocessing.spawn(work, (folder,), nprocs=max(SIZES))
    return [torch.load(f"{folder}/{rank}.pt", weights_only=False) for rank in range(max(SIZES))]


@pytest.mark.parametrize("size", SIZES)
def test_plans_made_by_processes_are_those_made_from_all_shards(size, told):
    assert all(all(told[rank][size]["plans"]) for rank in range(size))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_attention_of_all_ranks_is_that_of_one_process(size, dtype, told):
    """Outputs bit for bit, because edges stay in order; sums of gradients to rounding."""
    for number in range(GRAPHS):
        place = 2 * number + DTYPES.index(dtype)
        parts = [told[rank][size]["out"][place] for rank in range(size)]
        expected = [x.detach() for x in whole(ragged(number), dtype)]
        out, lse, *grads = (torch.cat(list(each)) for each in zip(*parts, strict=True))
        assert torch.equal(out, expected[0])
        assert torch.equal(lse, expected[1])
        tolerance = {torch.float32: 1e-5, torch.float64: 1e-13}[dtype]
        for got, wanted in zip(grads, expected[2:], strict=True):
            limit = tolerance * float(wanted.abs().max())
            torch.testing.assert_close(got, wanted, rtol=0, atol=limit)


def test_ranks_that_disagree_are_all_told_before_anything_is_sent(told):
    graphs, partitions, sizes = zip(*(part["refusals"] for part in told), strict=True)
    ranks = "on the ranks [0, 1] and"
    assert len(set(graphs)) == len(set(partitions)) == len(set(sizes)) == 1
    assert (
        f"all processes must have the same partition. Got '21 columns, 4 ranks, 4 blocks' {ranks}"
        in partitions[0]
    )
    assert (
        f"all processes must have the same graph. Got '{ragged(1).fingerprint}' {ranks}"
        in graphs[0]
    )
    assert "needs a group of as many processes. Got 4" in sizes[0]
