"""Counter-based dropout: the published generator, statistics, and use in attention."""

import pytest
import torch
from torch import Tensor

from graphcolumns.ops.dropout import _splitmix64, edge_dropout
from tests.ops.support.cases import MASKS, draw, gradients, graph_of


def mask_of(seed: int, edges: int = 500, batch: int = 20, heads: int = 10, rate: float = 0.3):
    ids = torch.arange(edges)
    return edge_dropout(torch.tensor(seed), ids, batch, heads, rate, torch.float64)


def test_splitmix64_is_the_published_generator():
    # The first outputs from state 0, as unsigned numbers (Vigna's splitmix64.c).
    published = [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
        0xF88BB8A8724C81EC,
        0x1B39896A51A8749B,
    ]
    outputs = _splitmix64(torch.arange(5)).tolist()
    assert [x % 2**64 for x in outputs] == published


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_values_and_mean(rate):
    mask = mask_of(1, rate=rate)
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / (1 - rate)])
    sigma = (rate / (1 - rate) / mask.numel()) ** 0.5
    assert abs(float(mask.mean()) - 1) < 4 * sigma


def test_rate_zero_keeps_everything():
    assert (mask_of(1, rate=0.0) == 1).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_independent(axis):
    """Between edges, batch elements and heads: no correlation beyond four standard errors."""
    mask = mask_of(2, rate=0.5) - 1
    length = mask.shape[axis]
    for shift in (1, 2, 4):
        first, second = (
            mask.narrow(axis, 0, length - shift),
            mask.narrow(axis, shift, length - shift),
        )
        assert abs(float((first * second).mean())) < 4 / first.numel() ** 0.5


def test_seeds_are_independent():
    for seed in (1, 2, -1, 2**62):
        product = (mask_of(0, rate=0.5) - 1) * (mask_of(seed, rate=0.5) - 1)
        assert abs(float(product.mean())) < 4 / product.numel() ** 0.5


def test_the_mask_depends_on_the_edge_id_alone():
    """Any part of the edges, in any order: what a backward pass over sources asks for."""
    ids = torch.tensor([7, 3, 499])
    part = edge_dropout(torch.tensor(5), ids, 20, 10, 0.3, torch.float64)
    assert torch.equal(part, mask_of(5)[ids])


def test_opcheck():
    arguments = (torch.tensor(1), torch.arange(4, dtype=torch.int32), 2, 3, 0.5, torch.float32)
    torch.library.opcheck(edge_dropout, arguments)


class TestInAttention:
    def revealed(self, backend: str, seed: int | Tensor, rate: float = 0.4) -> Tensor:
        """The mask ``[E, B, H]`` of a call: equal scores, and values that tell sources apart."""
        mask = MASKS["every degree"]
        case = draw(mask, value_width=6, bias=None, cost=None)
        values = torch.eye(6, dtype=torch.float64)[:, None, None].expand_as(case.v)
        case = case._replace(q=torch.zeros_like(case.q), v=values)
        out = case.run(backend, dropout=rate, seed=seed).out  # [N, B, H, source]
        degree = mask.sum(1)[:, None, None, None]
        return (out * degree).permute(0, 3, 1, 2)[mask]

    def test_every_backend_draws_the_same_mask(self, backend):
        expected = mask_of(3, 21, 2, 2, rate=0.4)
        assert (expected == 0).any()
        torch.testing.assert_close(self.revealed(backend, 3), expected)
        torch.testing.assert_close(self.revealed(backend, torch.tensor(3)), expected)

    def test_other_seeds_draw_other_masks(self, backend):
        assert not torch.equal(self.revealed(backend, 3), self.revealed(backend, 4))

    def test_without_a_seed_the_generator_of_torch_decides(self, backend):
        torch.manual_seed(1)
        first = self.revealed(backend, None)
        torch.manual_seed(1)
        assert torch.equal(self.revealed(backend, None), first)
        assert not torch.equal(self.revealed(backend, None), first)

    def test_rate_zero_is_no_dropout(self, backend):
        case = draw(MASKS["every degree"])
        with_seed, without = case.run(backend, dropout=0.0, seed=3), case.run(backend)
        for x, y in zip(with_seed, without, strict=True):
            assert torch.equal(x, y)

    def test_lse_ignores_dropout_and_cost_feels_it(self, backend):
        case = draw(MASKS["every degree"])
        dropped, whole = case.run(backend, dropout=0.5, seed=1), case.run(backend)
        torch.testing.assert_close(dropped.lse, whole.lse)
        assert not torch.allclose(dropped.cost, whole.cost)

    def test_gradients_are_those_of_the_reference(self, backend):
        case = draw(MASKS["every degree"])
        options = {"dropout": 0.5, "seed": 1}
        expected = gradients(case, case.run("reference", **options))
        for x, y in zip(gradients(case, case.run(backend, **options)), expected, strict=True):
            torch.testing.assert_close(x, y)

    def test_recomputation_draws_the_mask_again(self, backend):
        case = draw(MASKS["every degree"], bias=None, cost=None)

        def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            replaced = case._replace(q=q, k=k, v=v)
            return replaced.run(backend, dropout=0.5).out

        torch.manual_seed(7)
        expected = torch.autograd.grad(run(*case.inputs).sum(), case.inputs)
        torch.manual_seed(7)
        out = torch.utils.checkpoint.checkpoint(run, *case.inputs, use_reentrant=False)
        for x, y in zip(torch.autograd.grad(out.sum(), case.inputs), expected, strict=True):
            torch.testing.assert_close(x, y)


def test_all_edges_may_be_dropped():
    case = draw(torch.ones(1, 2, dtype=torch.bool), batch=50, heads=1)
    out, cost, _ = case.run("reference", dropout=0.9, seed=0)
    silent = (mask_of(0, 2, 50, 1, rate=0.9) == 0).all(0)
    assert silent.any()
    assert (out[0][silent] == 0).all()
    assert (cost[0][silent] == 0).all()
    assert graph_of(case.mask).num_edges == 2
