import math

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.metrics import r2_score

from graphcolumns.data import metrics


@pytest.fixture(scope="module")
def responses():
    generator = torch.Generator().manual_seed(0)
    targets = 5 + torch.randn(50, 7, generator=generator)
    predicted = targets + torch.arange(7) * torch.randn(50, 7, generator=generator)
    return predicted, targets


def test_r2_is_that_of_scikit_learn(responses):
    predicted, targets = responses
    expected = r2_score(targets.double(), predicted.double(), multioutput="raw_values")
    np.testing.assert_allclose(metrics.r2_per_target(predicted, targets), expected, atol=1e-12)


def test_pearson_is_that_of_scipy(responses):
    predicted, targets = responses
    expected = pearsonr(predicted.double(), targets.double(), axis=0).statistic
    np.testing.assert_allclose(metrics.pearson_per_target(predicted, targets), expected, atol=1e-12)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_no_number_is_not_left_out(responses, wrong):
    """Medians leave NaN out, which is for targets: a prediction is never scored by less of it."""
    predicted, targets = responses
    spoilt = predicted.clone()
    spoilt[3, 2] = wrong
    r2, r = metrics.r2_per_target(spoilt, targets), metrics.pearson_per_target(spoilt, targets)
    assert (r2[2].item(), r[2].item()) == (-math.inf, 0.0)
    others = torch.arange(7) != 2
    assert torch.equal(r2[others], metrics.r2_per_target(predicted, targets)[others])
    assert torch.equal(r[others], metrics.pearson_per_target(predicted, targets)[others])
    holes = targets.clone()
    holes[3, 2] = math.nan
    assert metrics.r2_per_target(spoilt, holes).isfinite().all()
    assert metrics.pearson_per_target(spoilt, holes)[2] > 0
    constant = targets.clone()
    constant[:, 2] = 1
    assert metrics.r2_per_target(spoilt, constant)[2].isnan()
    assert metrics.pearson_per_target(spoilt, constant)[2].isnan()


@pytest.mark.parametrize("metric", [metrics.r2_per_target, metrics.pearson_per_target])
def test_a_missing_response_is_left_out_of_its_target(responses, metric):
    predicted, targets = responses
    holes = targets.clone()
    holes[10:, 2] = math.nan
    got = metric(predicted, holes)
    torch.testing.assert_close(got[2], metric(predicted[:10], targets[:10])[2])
    others = torch.arange(7) != 2
    torch.testing.assert_close(got[others], metric(predicted, targets)[others])


@pytest.mark.parametrize("metric", [metrics.r2_per_target, metrics.pearson_per_target])
def test_a_constant_target_has_no_score(metric):
    # A third in float32: its mean over three is not exactly itself.
    targets = torch.stack([torch.full((3,), 1 / 3), torch.tensor([0.0, 1.0, math.nan])], 1)
    targets = torch.cat([targets, torch.tensor([[1.0], [math.nan], [math.nan]])], 1)
    assert metric(torch.rand(3, 3), targets).isnan().tolist() == [True, False, True]


def test_constant_predictions():
    targets = torch.tensor([[0.0], [1.0], [2.0]])
    assert metrics.pearson_per_target(torch.ones(3, 1), targets).item() == 0
    assert metrics.r2_per_target(torch.ones(3, 1), targets).item() == 0


def test_fraction_of_the_ceiling(responses):
    predicted, targets = responses
    predicted = torch.cat([predicted[:, :6], -targets[:, 6:]], 1)
    ceiling = torch.tensor([1.0, 0.9, 0.5, 0.0, 0.2, 0.1, 0.8])
    got = metrics.ceiling_fraction_per_target(predicted, targets, ceiling)
    r = metrics.pearson_per_target(predicted, targets)
    assert got[3].isnan()
    assert got[6] == 0  # a negative correlation explains nothing
    kept = torch.tensor([0, 1, 2, 4, 5])
    torch.testing.assert_close(got[kept], r[kept].clamp(min=0) ** 2 / ceiling[kept].double())


def test_the_clipped_fraction_by_hand():
    """r = 1, 1, sqrt(3)/2, 1: squared over ceilings 0.5, 1, 1, 0."""
    targets = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 1.0, 2.0]])
    predicted = torch.tensor([0.0, 1.0, 2.0])[:, None].expand(3, 4)
    ceiling = torch.tensor([0.5, 1.0, 1.0, 0.0])
    whole = metrics.ceiling_fraction_per_target(predicted, targets, ceiling)
    clipped = metrics.clipped_ceiling_fraction_per_target(predicted, targets, ceiling)
    expected = torch.tensor([2.0, 1.0, 0.75, math.nan], dtype=torch.float64)
    torch.testing.assert_close(whole, expected, equal_nan=True)
    torch.testing.assert_close(clipped, expected.clamp(max=1), equal_nan=True)


def test_the_median_is_that_of_numpy():
    values = torch.tensor([3.0, math.nan, 1.0, 2.0, 10.0])
    assert metrics.median(values).item() == np.nanmedian(values) == 2.5


def test_psnr_by_hand():
    targets = torch.tensor([[[0.0, 2.0]], [[1.0, 2.0]]])
    predicted = torch.tensor([[0.2, 2.0], [1.0, 1.8]])
    # Mean squared error 0.02, range 2: 10 log10(4 / 0.02).
    assert metrics.psnr(predicted, targets).item() == pytest.approx(10 * math.log10(200))
    assert metrics.normalised_error(predicted, targets).item() == pytest.approx(0.08 / 9)


def test_shares_of_right_answers():
    logits = torch.tensor([[2.0, -1.0, 0.5], [-0.1, -3.0, 4.0]])
    bits = torch.tensor([[1, 1, 1], [0, 0, 0]])
    assert metrics.binary_accuracy(logits, bits).item() == pytest.approx(4 / 6)
    assert metrics.accuracy(logits, torch.tensor([0, 1])).item() == 0.5
