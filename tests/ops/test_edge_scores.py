"""Scores of pairs: by hand, against a loop, against edges that are really inserted and deleted."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from graphcolumns import column_attention
from graphcolumns.ops import edge_scores
from tests.ops.support.cases import MASKS, graph_of
from tests.ops.support.score_cases import Steps, draw_steps, loop, loss_of

EDGES = ("mass", "bias_gradient", "attention_gradient", "deletion", "deletion_squares", "advantage")
CANDIDATES = ("would_be", "advantage", "gate", "insertion", "insertion_squares")


class TestByHand:
    """One column hears a value 0 and a value 4 with equal scores; a third value, 6, is offered."""

    @pytest.fixture
    def scores(self):
        q, k = torch.zeros(1, 1, 2, 1, 1), torch.zeros(1, 3, 2, 1, 1)
        v = torch.tensor([0.0, 4.0, 6.0]).view(1, 3, 1, 1, 1).expand(1, 3, 2, 1, 1)
        lse, out = torch.full((1, 1, 2, 1), math.log(2)), torch.full((1, 1, 2, 1, 1), 2.0)
        g = torch.tensor([1.0, -3.0]).view(1, 1, 2, 1, 1)  # two samples
        pairs = torch.tensor([0, 0, 0]), torch.tensor([0, 1, 2])
        return edge_scores(q, k, v, lse, out, g, *pairs)

    def test_deletion(self, scores):
        # Without the 0 the column hears 4: 2 more. The losses change by 2 and by -6.
        assert scores.deletion[:2].tolist() == pytest.approx([-4.0, 4.0])
        assert scores.deletion_squares[:2].tolist() == pytest.approx([40.0, 40.0])

    def test_insertion(self, scores):
        # With the 6 it hears 10 / 3: 4 / 3 more. The losses change by 4 / 3 and by -4.
        assert float(scores.would_be[2] / scores.samples) == pytest.approx(1 / 3)
        assert float(scores.insertion[2]) == pytest.approx(4 / 3 - 4)
        assert float(scores.insertion_squares[2]) == pytest.approx(16 / 9 + 16)

    def test_the_rest(self, scores):
        assert (scores.mass[:2] / scores.samples).tolist() == pytest.approx([0.5, 0.5])
        assert scores.bias_gradient[:2].tolist() == pytest.approx([2.0, -2.0])
        assert scores.attention_gradient[:2].tolist() == pytest.approx([4.0, 4.0])
        assert float(scores.advantage[2]) == pytest.approx(4.0 - 12.0)
        assert float(scores.gate[2]) == pytest.approx((4.0 - 12.0) / 2)


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("shared_query", [False, True])
def test_equal_a_loop_over_samples(mask, shared_query):
    steps = draw_steps(mask, steps=2, batch=3, shared_query=shared_query, scale=0.7)
    got = steps.run(scale=0.7, chunk=4, slice_size=2)
    assert got.samples == 3
    for pair, (i, j) in enumerate(zip(steps.targets, steps.sources, strict=True)):
        if not mask[i].any():
            continue  # see TestColumnsWithoutInEdges
        names = EDGES if mask[i, j] else CANDIDATES
        if mask[i, j] and mask[i].sum() == 1:
            names = [name for name in EDGES if "deletion" not in name]  # see TestTheOnlyInEdge
        expected = loop(steps, int(i), int(j), 0.7)
        for name in names:
            value = float(getattr(got, name)[pair])
            assert value == pytest.approx(expected[name], rel=1e-11, abs=1e-13), name


def really(steps: Steps, i: int, j: int) -> Tensor:
    """What every column hears at every step once the pair (i, j) is toggled."""
    mask = torch.zeros(steps.graph.num_columns, steps.graph.num_sources, dtype=torch.bool)
    mask[steps.graph.target.long(), steps.graph.source.long()] = True
    mask[i, j] ^= True
    graph = graph_of(mask)
    bias = steps.matrix[graph.target.long(), graph.source.long()]
    inputs = zip(steps.q, steps.k, steps.v, strict=True)
    return torch.stack([column_attention(*x, graph, bias=bias).out for x in inputs])


class TestIdentities:
    """With ``L_b = g . out`` the loss is linear, and the predicted effect must be the real one."""

    @given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**16))
    def test_toggling_an_edge(self, columns, sources, seed):
        torch.manual_seed(seed)
        steps = draw_steps(torch.rand(columns, sources) < 0.5, steps=2, batch=2)
        degree = steps.graph.in_degree[steps.targets]
        edges = set(zip(*steps.graph.edge_index.flip(0).tolist(), strict=True))
        is_edge = torch.tensor([p in edges for p in zip(*self.lists(steps), strict=True)])
        got = steps.run(sole=is_edge & (degree == 1))
        for pair, (i, j) in enumerate(zip(*self.lists(steps), strict=True)):
            change = really(steps, i, j) - steps.out
            each = (steps.grad_out * change).sum((0, 1, 3, 4))
            kind = "deletion" if is_edge[pair] else "insertion"
            close = {"rel": 1e-11, "abs": 1e-12}
            assert float(getattr(got, kind)[pair]) == pytest.approx(float(each.sum()), **close)
            squares = getattr(got, f"{kind}_squares")[pair]
            assert float(squares) == pytest.approx(float((each**2).sum()), **close)

    @staticmethod
    def lists(steps: Steps) -> tuple[list[int], list[int]]:
        return steps.targets.tolist(), steps.sources.tolist()

    def test_insertion_then_deletion_is_nothing(self):
        steps = draw_steps(MASKS["sparse"], steps=1, batch=1, heads=1)
        there = graph_of(torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1], [0, 1, 0, 0]]) > 0)
        bias = steps.matrix[there.target.long(), there.source.long()]
        heard = column_attention(steps.q[0], steps.k[0], steps.v[0], there, bias=bias)
        later = steps._replace(lse=heard.lse[None], out=heard.out[None])
        pair = 2 * 4 + 3
        assert float(later.run().deletion[pair]) == pytest.approx(
            -float(steps.run().insertion[pair]), abs=1e-13
        )


def test_all_pairs_are_the_dense_formula():
    r"""The gate of every pair at once, :math:`\sum_{t,h,b} P \circ (G V^\top - D)`."""
    mask = torch.rand(6, 5) < 0.5
    mask[:, 0] = True  # nobody hears nothing
    steps = draw_steps(mask)
    scale = steps.q.shape[-1] ** -0.5
    score = torch.einsum("tnbhd,tmbhd->tbhnm", steps.q, steps.k) * scale
    score = score + steps.matrix.permute(2, 0, 1)
    ratio = (score - steps.lse.permute(0, 2, 3, 1)[..., None]).exp()
    heard = torch.einsum("tnbhd,tmbhd->tbhnm", steps.grad_out, steps.v)
    own = (steps.grad_out * steps.out).sum(-1).permute(0, 2, 3, 1)[..., None]
    dense = (ratio * (heard - own)).sum((0, 1, 2))
    found = torch.zeros_like(dense)
    found[steps.targets, steps.sources] = steps.run().gate
    assert_close(found, dense, rtol=1e-12, atol=1e-12)


def test_an_edge_without_attention_can_go_unnoticed():
    graph = graph_of(torch.ones(4, 4, dtype=torch.bool))
    q, k, v = torch.randn(3, 4, 2, 2, 3, dtype=torch.float64).unbind(0)
    bias = torch.randn(16, dtype=torch.float64)
    closed = torch.tensor([1, 7, 12])
    bias[closed] = float("-inf")
    kept = torch.ones(16, dtype=torch.bool).index_fill(0, closed, False)
    full = column_attention(q, k, v, graph, bias=bias, backend="reference")
    less = column_attention(
        q, k, v, graph_of(kept.view(4, 4)), bias=bias[kept], backend="reference"
    )
    assert_close(full.out, less.out, rtol=1e-15, atol=1e-15)
    assert_close(full.lse, less.lse, rtol=1e-15, atol=1e-15)


class TestTheLinearisedLoss:
    """Finite differences of a curved loss, for the effects that are derivatives."""

    @pytest.fixture
    def steps(self):
        return draw_steps(MASKS["every degree"], steps=2, batch=3)

    def derivative(self, steps: Steps, i: int, direction: Tensor, size: float = 1e-6) -> float:
        """Of the summed loss when ``out_i`` moves along ``direction [T, B, H, D]``."""
        moved = torch.zeros_like(steps.out)
        moved[:, i] = size * direction
        change = loss_of(steps.out + moved) - loss_of(steps.out - moved)
        return float(change.sum()) / (2 * size)

    def test_along_the_step_of_an_insertion(self, steps):
        got, pair = steps.run(), 2 * 6 + 4  # column 2 hears 0 and 1, and is offered 4
        change = (really(steps, 2, 4) - steps.out)[:, 2]
        assert float(got.insertion[pair]) == pytest.approx(
            self.derivative(steps, 2, change), rel=1e-7
        )

    def test_of_the_gate_at_zero_mass(self, steps):
        def loss(mass: float) -> float:  # a mass m is a bias of log m
            weighted = steps._replace(matrix=steps.matrix.clone())
            weighted.matrix[2, 4] += math.log(mass)
            return float(loss_of(really(weighted, 2, 4)).sum())

        slope = (loss(1e-6) - float(loss_of(steps.out).sum())) / 1e-6
        assert float(steps.run().gate[2 * 6 + 4]) == pytest.approx(slope, rel=1e-4)

    def test_of_a_bias(self, steps):
        bias = steps.matrix[steps.graph.target.long(), steps.graph.source.long()]
        common = torch.zeros(len(bias), dtype=bias.dtype, requires_grad=True)
        inputs = zip(steps.q, steps.k, steps.v, strict=True)
        out = [column_attention(*x, steps.graph, bias=bias + common[:, None]).out for x in inputs]
        [gradient] = torch.autograd.grad(loss_of(torch.stack(out)).sum(), common)
        pairs = steps.graph.target.long() * 6 + steps.graph.source.long()
        torch.testing.assert_close(steps.run().bias_gradient[pairs], gradient)


class TestColumnsWithoutInEdges:
    def test_a_first_edge_gets_all_attention(self):
        mask = torch.tensor([[0, 0], [1, 1]]).bool()
        steps = draw_steps(mask)
        got = steps.run()
        change = really(steps, 0, 1)[:, 0]  # from nothing
        expected = (steps.grad_out[:, 0] * change).sum()
        assert float(got.insertion[1]) == pytest.approx(float(expected))
        assert float(got.would_be[1]) == got.samples
        assert got.mass[:2].tolist() == got.deletion[:2].tolist() == [0.0, 0.0]
        assert got.sums().isfinite().all()

    def test_a_closed_pair_has_no_effect(self):
        steps = draw_steps(torch.tensor([[0, 0], [1, 1]]).bool())
        got = steps.run(bias=torch.full((4,), -math.inf, dtype=torch.float64))
        effects = got.sums()[[i for i in range(10) if i != 6]]  # advantages know no mass
        assert not effects.any()


class TestTheOnlyInEdge:
    mask = torch.tensor([[0, 1, 0], [1, 1, 0]]).bool()

    def test_marked_as_sole_it_takes_everything(self):
        steps = draw_steps(self.mask)
        sole = torch.tensor([False, True, False, False, False, False])
        expected = -(steps.grad_out[:, 0] * steps.out[:, 0]).sum()
        assert float(steps.run(sole=sole).deletion[1]) == pytest.approx(float(expected))
        torch.testing.assert_close(steps.run(sole=sole).deletion[3:], steps.run().deletion[3:])

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_unmarked_it_stays_finite(self, dtype):
        got = draw_steps(self.mask).to(dtype).run()
        assert got.sums().isfinite().all()
        assert got.mass[1] == pytest.approx(got.samples)

    def test_nearly_all_attention(self):
        """An edge with all but 1e-4 of the attention still obeys the identity."""
        steps = draw_steps(torch.ones(1, 2, dtype=torch.bool), steps=1)
        bias = torch.tensor([[[9.0], [0.0]]], dtype=torch.float64).expand(1, 2, 2)
        heard = column_attention(0 * steps.q[0], steps.k[0], steps.v[0], steps.graph, bias=bias[0])
        steps = steps._replace(q=0 * steps.q, matrix=bias, lse=heard.lse[None], out=heard.out[None])
        change = steps.v[:, 1:] - steps.out
        expected = float((steps.grad_out * change).sum())
        assert float(steps.run().deletion[0]) == pytest.approx(expected, rel=1e-9)


class TestTheListOfPairs:
    def test_may_be_empty(self):
        steps = draw_steps(MASKS["sparse"])
        none = torch.zeros(0, dtype=torch.int64)
        got = steps._replace(targets=none, sources=none).run()
        assert len(got) == 0
        assert got.samples == 4

    def test_may_repeat(self):
        steps = draw_steps(MASKS["sparse"])
        twice = {n: getattr(steps, n).repeat_interleave(2) for n in ("targets", "sources")}
        got = steps._replace(**twice).run(chunk=3).sums()
        torch.testing.assert_close(got, steps.run().sums().repeat_interleave(2, 1))

    @pytest.mark.parametrize("ids", [torch.int32, torch.int64])
    def test_ids_of_either_kind(self, ids):
        steps = draw_steps(MASKS["more sources"])
        narrow = steps._replace(targets=steps.targets.to(ids), sources=steps.sources.to(ids))
        pairs = {"bias": steps.matrix[steps.targets, steps.sources]}
        torch.testing.assert_close(narrow.run(**pairs).sums(), steps.run().sums())

    @pytest.mark.parametrize("options", [{"chunk": 1}, {"chunk": 7}, {"slice_size": 1}])
    def test_is_taken_in_any_pieces(self, options):
        steps = draw_steps(MASKS["every degree"])
        torch.testing.assert_close(steps.run(**options).sums(), steps.run().sums())


class TestBias:
    def test_of_pairs_heads_and_steps(self):
        steps = draw_steps(MASKS["sparse"], steps=2)
        bias, same = steps.matrix[steps.targets, steps.sources], steps.run().sums()
        torch.testing.assert_close(steps.run(bias=bias.expand(2, -1, -1)).sums(), same)
        common = bias[:, :1].expand(-1, 2)
        torch.testing.assert_close(steps.run(bias=bias[:, 0]).sums(), steps.run(bias=common).sums())

    def test_steps_may_differ(self):
        steps = draw_steps(MASKS["sparse"], steps=2)
        bias = torch.randn(2, 16, 2, dtype=torch.float64)
        one = [
            steps._replace(**{n: getattr(steps, n)[t : t + 1] for n in steps._fields[1:7]}).run(
                bias=bias[t]
            )
            for t in range(2)
        ]
        both = steps.run(bias=bias)
        torch.testing.assert_close(both.insertion, one[0].insertion + one[1].insertion)


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
    def test_half_inputs_are_summed_in_float32(self, dtype):
        steps = draw_steps(MASKS["every degree"], batch=32)
        narrow = steps.to(dtype)
        got, expected = narrow.run(), narrow.to(torch.float64).run()
        assert got.mass.dtype == torch.float32
        candidates = [i for i, (t, s) in enumerate(self.pairs(steps)) if s >= t > 0]
        for name in ("insertion", "insertion_squares", "would_be", "gate"):
            x, y = getattr(got, name)[candidates], getattr(expected, name)[candidates]
            torch.testing.assert_close(x.double(), y, rtol=2e-5, atol=2e-4)

    def pairs(self, steps: Steps) -> list[tuple[int, int]]:
        return list(zip(steps.targets.tolist(), steps.sources.tolist(), strict=True))

    def test_autocast_changes_nothing(self):
        steps = draw_steps(MASKS["sparse"]).to(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            got = steps.run()
        assert torch.equal(got.sums(), steps.run().sums())


class TestSums:
    def test_halves_of_a_batch_add_up(self):
        steps = draw_steps(MASKS["every degree"])
        names = ("q", "k", "v", "lse", "out", "grad_out")
        halves = [
            steps._replace(**{n: getattr(steps, n)[:, :, part] for n in names}).run()
            for part in (slice(0, 2), slice(2, 4))
        ]
        both = halves[0] + halves[1]
        assert both.samples == 4
        torch.testing.assert_close(both.sums(), steps.run().sums())

    def test_some_of_the_pairs(self):
        scores = draw_steps(MASKS["sparse"]).run()
        assert torch.equal(scores.at(slice(3, 5)).gate, scores.gate[3:5])
        assert torch.equal(scores.at(torch.tensor([7, 1])).mass, scores.mass[[7, 1]])

    def test_of_other_pairs_do_not_add(self):
        scores = draw_steps(MASKS["sparse"]).run()
        with pytest.raises(ValueError, match="same list of pairs, got 16 and 2 pairs"):
            scores + scores.at(slice(2))
