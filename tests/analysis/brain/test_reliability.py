import math

import pytest
import torch
from scipy.stats import pearsonr

from graphcolumns.analysis.brain import (
    noise_ceiling,
    spearman_brown,
    split_half_reliability,
    trial_variances,
)
from tests.analysis.brain.test_noise_ceiling import simulated


def test_spearman_brown_by_hand():
    """Halves of 0.5 make a whole of 2/3, and a whole of 2/3 has halves of 0.5."""
    whole = spearman_brown(torch.tensor(0.5, dtype=torch.float64), 2)
    assert whole.item() == pytest.approx(2 / 3)
    assert spearman_brown(whole, 0.5).item() == pytest.approx(0.5)


def test_two_repeats_have_one_split():
    responses = simulated(40, 2, 1.0, 1.0, vertices=3)
    r = pearsonr(responses[:, 0], responses[:, 1], axis=0).statistic
    got = split_half_reliability(responses)
    torch.testing.assert_close(got, torch.from_numpy(2 * r / (1 + r)))


def test_three_repeats_have_three_splits_of_one():
    responses = simulated(40, 3, 1.0, 1.0, vertices=2)
    pairs = [(0, 1), (0, 2), (1, 2)]
    r = sum(pearsonr(responses[:, a], responses[:, b], axis=0).statistic for a, b in pairs) / 3
    torch.testing.assert_close(
        split_half_reliability(responses), torch.from_numpy(3 * r / (1 + 2 * r))
    )


def test_it_is_the_noise_ceiling_of_as_many_repeats():
    responses = simulated(4000, 4, 0.5, 1.0, vertices=5)
    ratio = trial_variances(responses).ncsnr
    for repeats in (1, 2, 4, 10):
        got = split_half_reliability(responses, repeats=repeats)
        torch.testing.assert_close(got, noise_ceiling(ratio, repeats), rtol=0, atol=0.01)


def test_random_splits_come_from_the_seed():
    responses = simulated(30, 10, 1.0, 1.0, vertices=2)
    first = split_half_reliability(responses, splits=3, seed=1)
    assert first.equal(split_half_reliability(responses, splits=3, seed=1))
    assert not first.equal(split_half_reliability(responses, splits=3, seed=2))


def test_an_image_without_one_of_its_repeats_is_left_out():
    responses = simulated(30, 2, 1.0, 1.0, vertices=2)
    holes = responses.clone()
    holes[20:, 1, 0] = math.nan
    got = split_half_reliability(holes)
    torch.testing.assert_close(got[0], split_half_reliability(responses[:20])[0])
    torch.testing.assert_close(got[1], split_half_reliability(responses)[1])


def test_no_split_is_refused():
    with pytest.raises(ValueError, match=r"splits must be 1 or above. Got 0."):
        split_half_reliability(torch.rand(4, 2, 3), splits=0)
    with pytest.raises(ValueError, match=r"repeats must be above 0 and finite. Got 0."):
        split_half_reliability(torch.rand(4, 2, 3), repeats=0)
