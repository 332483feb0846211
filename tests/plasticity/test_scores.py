"""Scores of eight edges and four candidates, worked by hand."""

import math

import pytest
import torch

from graphcolumns import ColumnGraph
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity import scores

# Whom four columns hear: eight edges, in the order of edges.
HEARD = {0: [1, 2, 3], 1: [0, 2], 2: [0, 3], 3: [1]}
PAIRS = torch.tensor([(j, i) for i, sources in HEARD.items() for j in sources]).T
GRAPH = ColumnGraph.from_edge_index(PAIRS, 4)
BIAS = torch.tensor([1.0, 2.0, 6.0, -1.0, 1.0, 0.0, 4.0, 5.0])
GRADIENT = torch.tensor([1.0, -1.0, 0.5, 2.0, 0.0, 3.0, -0.25, 0.0])


def sums(samples: int, **given: list[float]) -> EdgeScores:
    """Sums over samples; what is not given is NaN, so that no score can read it by mistake."""
    [count] = {len(values) for values in given.values()}
    names = list(EdgeScores.__dataclass_fields__)[1:]
    missing = [math.nan] * count
    return EdgeScores.of(samples, torch.tensor([given.get(name, missing) for name in names]))


class TestPrune:
    def test_mass(self):
        got = scores.mass(sums(4, mass=[4, 2, 1, 0, 3, 1, 2, 4]))
        assert got.tolist() == [1, 0.5, 0.25, 0, 0.75, 0.25, 0.5, 1]

    def test_size(self):
        both = torch.stack([BIAS, -3 * BIAS], 1)
        assert scores.size(BIAS).tolist() == [1, 2, 6, 1, 1, 0, 4, 5]
        assert scores.size(both).tolist() == [2, 4, 12, 2, 2, 0, 8, 10]

    def test_a_closed_edge_has_no_size(self):
        closed = torch.tensor([[-math.inf, -4.0], [-math.inf, -math.inf]])
        assert scores.size(closed).tolist() == [2, 0]
        assert scores.mest(closed, torch.zeros(2, 2)).tolist() == [2, 0]
        assert scores.movement(closed, torch.zeros(2, 2)).tolist() == [0, 0]

    def test_taylor(self):
        got = scores.taylor(sums(2, deletion=[2, -1, 0, 4, 1, -3, 6, 0]))
        assert got.tolist() == [1, -0.5, 0, 2, 0.5, -1.5, 3, 0]

    def test_fisher_taylor(self):
        # Samples (1, 1) and (3, -3): the same curvature for an edge whose effects cancel.
        given = {"deletion": [2, 0] * 4, "deletion_squares": [2, 18] * 4}
        assert scores.fisher_taylor(sums(2, **given)).tolist() == [1.5, 4.5] * 4

    def test_attention_gradient(self):
        got = scores.attention_gradient(sums(2, attention_gradient=[1, 2, 3, 4, 5, 6, 7, 8]))
        assert got.tolist() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]

    def test_movement(self):
        # A positive bias with a negative gradient grows: worth keeping.
        expected = [-1, 2, -3, 2, 0, 0, 1, 0]
        assert scores.movement(BIAS, GRADIENT).tolist() == expected
        both = torch.stack([BIAS, BIAS], 1), torch.stack([GRADIENT, -2 * GRADIENT], 1)
        assert scores.movement(*both).tolist() == [-x for x in expected]

    def test_mest(self):
        got = scores.mest(BIAS, GRADIENT, weight=0.5)
        assert got.tolist() == [1.5, 2.5, 6.25, 2, 1, 1.5, 4.125, 5]
        default = scores.mest(BIAS[:1], GRADIENT[:1])
        assert float(default) == pytest.approx(1.01)

    def test_mest_of_heads_that_cancel(self):
        """The size of a head's gradient is taken before heads are added."""
        values = torch.full((2, 2), 0.1)
        got = scores.mest(values, torch.tensor([[5.0, -5.0], [1.0, 1.0]]), weight=0.1)
        assert got.tolist() == pytest.approx([0.1 + 0.5, 0.1 + 0.1])

    def test_relative_importance(self):
        # In-edges sum to 9, 2, 4 and 5; out-edges of 0, 1, 2, 3 to 1, 6, 3 and 10.
        expected = [1 / 9 + 1 / 6, 2 / 9 + 2 / 3, 6 / 9 + 6 / 10, 1 / 2 + 1 / 1,
                    1 / 2 + 1 / 3, 0.0, 4 / 4 + 4 / 10, 5 / 5 + 5 / 6]  # fmt: skip
        assert scores.relative_importance(BIAS, GRAPH).tolist() == pytest.approx(expected)
        assert scores.relative_importance(torch.zeros(8), GRAPH).tolist() == [0.0] * 8

    def test_controls(self):
        assert scores.length(torch.tensor([1.0, 3.0])).tolist() == [-1, -3]
        assert scores.age(torch.tensor([0, 4])).tolist() == [0, 4]
        assert scores.age(torch.tensor([0, 4]), oldest_first=True).tolist() == [0, -4]

    def test_errors(self):
        with pytest.raises(ValueError, match=r"values must be \[E\] = \[8\], got \[7\]"):
            scores.relative_importance(BIAS[1:], GRAPH)
        for score in (scores.movement, scores.mest):
            with pytest.raises(ValueError, match="weights and their gradient must both be"):
                score(BIAS, GRADIENT[1:])


class TestGrow:
    def test_insertion(self):
        given = {"insertion": [-2, 4, 0, -1], "insertion_squares": [4, 8, 2, 1]}
        candidates = sums(2, **given)
        assert scores.insertion(candidates).tolist() == [1, -2, 0, 0.5]
        assert scores.insertion(candidates, curvature=True).tolist() == [0, -4, -0.5, 0.25]

    def test_insertion_by_standard_errors(self):
        # u of the samples: (-3, 1), (-1, -1) and (0, 2). Standard errors 2, 0 and 1.
        given = {"insertion": [-2, -2, 2], "insertion_squares": [10, 2, 4]}
        got = scores.insertion(sums(2, **given), standard_errors=1.5)
        assert got.tolist() == [1 - 3, 1, -1 - 1.5]
        with pytest.raises(ValueError, match="at least two samples, got 1"):
            scores.insertion(sums(1, **given), standard_errors=1.0)

    def test_one_sided(self):
        got = scores.one_sided(torch.tensor([0.5, 0.0, -2.0]))
        assert got.tolist() == [0.5, -math.inf, -math.inf]

    def test_others_of_edge_scores(self):
        given = {"gate": [-2, 4], "advantage": [3, -5], "would_be": [1, 0.5]}
        candidates = sums(2, **given)
        assert scores.rigl_abs(candidates).tolist() == [1, 2]
        assert scores.advantage(candidates).tolist() == [-1.5, 2.5]
        assert scores.would_be_attention(candidates).tolist() == [0.5, 0.25]

    def test_momentum(self):
        first = scores.momentum(None, torch.tensor([1.0, 2.0]))
        got = scores.momentum(first, torch.tensor([3.0, -2.0]), decay=0.75)
        assert got.tolist() == [1.5, 1.0]
        with pytest.raises(ValueError, match="of the same candidates"):
            scores.momentum(first, torch.zeros(3))

    def test_distance(self):
        d = torch.tensor([0.0, 2.0])
        assert scores.distance(d, length=4.0).tolist() == [0, -0.5]
        assert scores.distance(d, "gaussian", 2.0).tolist() == [0, -0.5]
        power = scores.distance(d, "power", 2.0)
        assert power.tolist() == pytest.approx([0, -2 * math.log(2)])
        with pytest.raises(ValueError, match="kernel must be one of"):
            scores.distance(d, "linear")

    def test_mixture(self):
        # Standardised: (-1, 1, 0, 0) * sqrt(2) and (-1, 1, -1, 1).
        parts = torch.tensor([1.0, 3.0, 2.0, 2.0]), torch.tensor([0.0, 10.0, 0.0, 10.0])
        root = math.sqrt(2)
        got = scores.mixture([*parts, torch.ones(4)], [1.0, 0.5, 9.0])
        assert got.tolist() == pytest.approx([-root - 0.5, root + 0.5, -0.5, 0.5])
        with pytest.raises(ValueError, match="one weight per score, got 2 and 1"):
            scores.mixture(parts, [1.0])


class TestRandom:
    targets, sources = torch.cartesian_prod(torch.arange(50), torch.arange(50)).T

    def test_a_pair_draws_the_same_number_in_any_list(self):
        everything = scores.random(self.targets, self.sources, 50, seed=1, update=2)
        order = torch.randperm(2500)[:100]
        some = scores.random(self.targets[order].int(), self.sources[order].int(), 50, 1, 2)
        assert torch.equal(some, everything[order])

    def test_seeds_and_updates_differ(self):
        draws = [
            scores.random(self.targets, self.sources, 50, seed, update)
            for seed in (0, 1)
            for update in (0, 1)
        ]
        correlation = torch.corrcoef(torch.stack(draws))
        assert float((correlation - torch.eye(4, dtype=torch.float64)).abs().max()) < 0.07

    def test_is_uniform(self):
        drawn = scores.random(self.targets, self.sources, 50, seed=3)
        counts = torch.histc(drawn, 10, 0.0, 1.0)
        # Chi-square with 9 degrees of freedom: below 27.9 in 99.9 % of cases.
        assert float(((counts - 250) ** 2 / 250).sum()) < 27.9
        assert len(drawn.unique()) == 2500


class TestActivity:
    activity = torch.tensor(
        [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [5.0, 5.0, 5.0], [1.0, 3.0, 1.0]]
    )

    def test_hebbian(self):
        targets, sources = torch.tensor([0, 0, 0, 0, 0]), torch.tensor([0, 1, 2, 3, 4])
        got = scores.hebbian(self.activity, targets, sources, chunk=2)
        assert got.tolist() == pytest.approx([1, 1, -1, 0, 0], abs=1e-6)

    def test_hebbian_is_pearsons_correlation(self):
        activity = torch.randn(6, 20, dtype=torch.float64)
        pairs = torch.cartesian_prod(torch.arange(6), torch.arange(6)).T
        expected = torch.corrcoef(activity).flatten()
        torch.testing.assert_close(scores.hebbian(activity, *pairs), expected)

    def test_a_constant_column_whose_mean_is_rounded(self):
        activity = torch.full((2, 3), 0.1)
        assert scores.hebbian(activity, torch.tensor([0]), torch.tensor([1])).tolist() == [0.0]

    def test_growth_curves(self):
        calcium = torch.tensor([0.0, 0.5, 1.0, 2.0])
        linear = scores.growth_curve(calcium, target=1.0, rate=2.0)
        assert linear.tolist() == [2, 1, 0, -2]
        gaussian = scores.growth_curve(calcium, target=1.0, curve="gaussian", rate=2.0)
        assert gaussian[:3].tolist() == pytest.approx([0, 2, 0], abs=1e-6)
        assert -2.0 < float(gaussian[3]) < -1.9
        sigmoid = scores.growth_curve(calcium, target=1.0, curve="sigmoid", width=0.5)
        assert sigmoid.tolist() == pytest.approx(
            [math.tanh(1), math.tanh(0.5), 0, -math.tanh(1)], abs=1e-6
        )
        with pytest.raises(ValueError, match="curve must be one of"):
            scores.growth_curve(calcium, 1.0, curve="step")

    def test_homeostatic(self):
        synaptic_elements_in, synaptic_elements_out = (
            torch.tensor([3.9, 1.0, 0.0]),
            torch.tensor([2.0, 5.5, 9.0]),
        )
        in_degree, out_degree = torch.tensor([1, 1, 2]), torch.tensor([3, 2, 0])
        targets, sources = torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 1, 2, 2, 2])
        free = synaptic_elements_in, synaptic_elements_out, in_degree, out_degree, targets, sources
        # Free: 2, 0 and -2 on the receiving side; -1, 3 and 9 on the sending side.
        assert scores.homeostatic(*free).tolist() == [0, 6, 18, 0, 0]
        far = torch.tensor([0.0, 0.0, -1.0, 0.0, 0.0]) * math.log(2)
        assert scores.homeostatic(*free, far).tolist() == pytest.approx([0, 6, 9, 0, 0])
