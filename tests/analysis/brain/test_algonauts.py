import math

import pytest
import torch

from graphcolumns.analysis.brain import algonauts_score
from graphcolumns.data.metrics import pearson_per_target


def by_hand():
    """Correlations 1, sqrt(3)/2, -1, 1 with ceilings 0.5, 1, 0.5, 0: shares 2, 0.75, 0, none."""
    targets = torch.tensor([[0.0, 0.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 0.0, 2.0]])
    predicted = torch.tensor([0.0, 1.0, 2.0])[:, None].repeat(1, 4)
    return predicted, targets, torch.tensor([0.5, 1.0, 0.5, 0.0])


def test_the_score_by_hand():
    score = algonauts_score(*by_hand())
    assert score.median == pytest.approx(75)
    assert score.median_clipped == pytest.approx(75)
    assert score.mean == pytest.approx(100 * 2.75 / 3)
    assert score.mean_clipped == pytest.approx(100 * 1.75 / 3)
    assert (score.vertices, score.zero_ceiling, score.undefined) == (3, 1, 0)


def test_vertices_without_a_ceiling_do_not_score_one():
    """With 1e-14 in place of 0 each of them with a correlation above 0 scores 1.

    That is what evaluation code of the challenge does, and what is not done here.
    """
    draws = torch.Generator().manual_seed(0)
    targets = torch.randn(50, 300, generator=draws)
    predicted = torch.randn(50, 300, generator=draws)
    predicted[:, :100] += targets[:, :100]
    predicted[:, 100:] += 0.3 * targets[:, 100:]
    ceiling = torch.zeros(300)
    ceiling[:100] = 0.9
    score = algonauts_score(predicted, targets, ceiling)
    assert (score.vertices, score.zero_ceiling) == (100, 200)
    assert 50 < score.median < 65
    only = algonauts_score(predicted[:, :100], targets[:, :100], ceiling[:100])
    assert only[:5] == score[:5]
    mistaken = algonauts_score(predicted, targets, ceiling.clamp(min=1e-14))
    above = int((pearson_per_target(predicted, targets)[100:] > 0).sum())
    assert above > 180
    assert mistaken.median_clipped == 100
    assert mistaken.mean_clipped == pytest.approx((score.mean_clipped + above) / 3)
    assert mistaken.zero_ceiling == 0


def test_hemispheres_and_subjects_are_one_set_of_vertices():
    predicted, targets, ceiling = by_hand()
    halves = [x.split(2, dim=-1) for x in (predicted, targets, ceiling)]
    assert algonauts_score(*halves) == algonauts_score(predicted, targets, ceiling)
    # A second subject with other images.
    twice = algonauts_score([predicted, predicted[:2]], [targets, targets[:2]], [ceiling, ceiling])
    assert twice.vertices + twice.undefined + twice.zero_ceiling == 8


def test_constant_responses_are_counted():
    predicted, targets, ceiling = by_hand()
    targets[:, 1] = 3.0
    score = algonauts_score(predicted, targets, ceiling)
    assert (score.vertices, score.zero_ceiling, score.undefined) == (2, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, t, c: (p.T, t, c), r"transposed: pass predictions\[0\].T"),
        (lambda p, t, c: (p, t, 100 * c), "Got 0 to 100; divide percent by 100"),
        (lambda p, t, c: (p, t, c[:3]), r"ceilings\[0\] must hold one value per vertex, \[4\]"),
        (lambda p, t, c: ([p, p], [t], [c]), "equally many. Got 2, 1, 1"),
        (lambda p, t, c: (p, t, 0 * c), "Got 4 with a ceiling of 0 and 0 that are constant"),
        (lambda p, t, c: (p * math.nan, t, c), "must be finite. Got NaN or infinity in 4 vertices"),
    ],
)
def test_wrong_input(change, message):
    with pytest.raises(ValueError, match=message):
        algonauts_score(*change(*by_hand()))
