import math
from importlib import import_module

import pytest
import torch

from graphcolumns.analysis.brain import (
    Variances,
    largest_correlation,
    noise_ceiling,
    split_half_reliability,
    trial_variances,
)


def simulated(images, repeats, signal, noise, vertices, seed=0):
    """Responses of a known signal and noise variance, ``[images, repeats, vertices]``."""
    draws = torch.Generator().manual_seed(seed)
    s = torch.randn(images, 1, vertices, generator=draws, dtype=torch.float64)
    e = torch.randn(images, repeats, vertices, generator=draws, dtype=torch.float64)
    return math.sqrt(signal) * s + math.sqrt(noise) * e


def by_hand():
    """Two images of two repeats: (1, 3) and (5, 7)."""
    return torch.tensor([[[1.0], [3.0]], [[5.0], [7.0]]])


def test_variances_by_hand():
    """Repeats vary by 2 around their means 2 and 6; all four around 4 by 20/3."""
    trials = trial_variances(by_hand())
    assert trials.noise.item() == pytest.approx(2)
    assert trials.total.item() == pytest.approx(20 / 3)
    assert trials.signal.item() == pytest.approx(14 / 3)
    assert trials.ncsnr.item() == pytest.approx(math.sqrt(7 / 3))
    # Means vary by 8, of which half the noise variance is noise.
    means = trial_variances(by_hand(), "means")
    assert means.signal.item() == pytest.approx(7)
    assert noise_ceiling(means.ncsnr, 2).item() == pytest.approx(7 / 8)


def test_ceilings_by_hand():
    """Ratio 3/4: 9/16 over 9/16 + 1/n."""
    ratio = torch.tensor([0.75, 0.0, math.inf, math.nan])
    expected = torch.tensor([9 / 25, 0, 1, 0], dtype=torch.float64)
    torch.testing.assert_close(noise_ceiling(ratio), expected)
    assert noise_ceiling(ratio, 3)[0].item() == pytest.approx(9 / 16 / (9 / 16 + 1 / 3))
    assert largest_correlation(expected)[0].item() == pytest.approx(3 / 5)


def test_unequal_repeats_are_those_of_the_natural_scenes_dataset():
    """A images of 3 trials, B of 2 and C of 1: noise over (A + B + C) / (A/3 + B/2 + C)."""
    a, b, c = 5, 2, 3
    repeats = torch.tensor([3] * a + [2] * b + [1] * c)
    got = noise_ceiling(torch.tensor([0.8]), repeats)
    expected = 0.64 / (0.64 + (a / 3 + b / 2 + c) / (a + b + c))
    assert got.item() == pytest.approx(expected, rel=1e-7)
    equal = noise_ceiling(torch.tensor([0.8]), torch.full((7,), 3))
    assert equal.item() == noise_ceiling(torch.tensor([0.8]), 3).item()


@pytest.mark.parametrize("repeats", [2, 3, 6])
def test_both_estimators_have_the_mean_that_is_documented(repeats):
    """20,000 vertices of 10 images: means to about 1 percent of signal 0.5, noise 2."""
    n, signal, noise = 10, 0.5, 2.0
    responses = simulated(n, repeats, signal, noise, vertices=20_000)
    trials, means = (trial_variances(responses, x) for x in ("trials", "means"))
    assert trials.noise.mean().item() == pytest.approx(noise, rel=0.01)
    torch.testing.assert_close(trials.noise, means.noise)
    error = means.signal.std().item() / math.sqrt(20_000)
    assert abs(means.signal.mean().item() - signal) < 4 * error
    too_small = signal * (n * repeats - repeats) / (n * repeats - 1)
    assert abs(trials.signal.mean().item() - too_small) < 4 * error


def test_means_are_unbiased_for_unequal_repeats():
    responses = simulated(12, 4, 1.0, 3.0, vertices=20_000, seed=1)
    responses[:5, 2:] = math.nan
    responses[5:8, 3:] = math.nan
    responses[11, 1:] = math.nan  # shown once: left out
    found = trial_variances(responses, "means")
    assert found.images.unique().tolist() == [11]
    assert abs(found.signal.mean() - 1) < 4 * found.signal.std() / math.sqrt(20_000)
    assert abs(found.noise.mean() - 3) < 4 * found.noise.std() / math.sqrt(20_000)


def test_the_ceiling_of_many_images_is_the_closed_form():
    responses = simulated(20_000, 3, 0.36, 1.0, vertices=4)
    for estimator in ("trials", "means"):
        got = noise_ceiling(trial_variances(responses, estimator).ncsnr, 3)
        expected = torch.full((4,), 0.36 / (0.36 + 1 / 3), dtype=torch.float64)
        torch.testing.assert_close(got, expected, rtol=0, atol=0.01)
    half = split_half_reliability(responses)
    torch.testing.assert_close(half, expected, rtol=0, atol=0.02)


def test_a_perfect_model_reaches_the_ceiling():
    """Its squared correlation with the mean over repeats, for a signal that is known."""
    draws = torch.Generator().manual_seed(3)
    signal = torch.randn(50_000, 1, 1, generator=draws, dtype=torch.float64)
    trials = signal + 2 * torch.randn(50_000, 3, 1, generator=draws, dtype=torch.float64)
    r = torch.corrcoef(torch.cat([signal[:, 0], trials.mean(1)], 1).T)[0, 1]
    ceiling = noise_ceiling(trial_variances(trials).ncsnr, 3)
    assert r.item() == pytest.approx(largest_correlation(ceiling).item(), abs=0.01)


def test_vertices_without_signal_have_a_ceiling_of_zero_about_half_the_time():
    found = trial_variances(simulated(30, 3, 0.0, 1.0, vertices=5000), "means")
    zero = noise_ceiling(found.ncsnr, 3) == 0
    assert 0.4 < zero.double().mean() < 0.7
    assert (found.signal[zero] <= 0).all()


def test_vertices_are_independent_of_each_other(monkeypatch):
    responses = simulated(6, 3, 1.0, 1.0, vertices=7)
    whole = trial_variances(responses)
    # The package has a function of that name.
    module = import_module("graphcolumns.analysis.brain.noise_ceiling")
    monkeypatch.setattr(module, "CHUNK", 2)
    for got, expected in zip(trial_variances(responses), whole, strict=True):
        torch.testing.assert_close(got, expected)


def test_a_silent_vertex():
    found = Variances(torch.zeros(1), torch.zeros(1), torch.tensor([5]))
    assert noise_ceiling(found.ncsnr).item() == 0


@pytest.mark.parametrize(
    ("responses", "message"),
    [
        (torch.zeros(5, 3), r"\[images, repeats, vertices\].*Got \[5, 3\]"),
        (torch.zeros(5, 1, 3), r"Got \[5, 1, 3\]"),
        (torch.zeros(5, 2, 0), r"must have a vertex. Got \[5, 2, 0\]"),
    ],
)
def test_other_shapes_are_refused(responses, message):
    for function in (trial_variances, split_half_reliability):
        with pytest.raises(ValueError, match=message):
            function(responses)


def test_other_wrong_input():
    with pytest.raises(TypeError, match=r"floating tensor. Got torch.int64; call .float\(\)."):
        trial_variances(torch.zeros(3, 3, 3, dtype=torch.int64))
    once = torch.full((4, 2, 3), math.nan)
    once[:, 0] = torch.rand(4, 3)
    with pytest.raises(ValueError, match=r"two repeats. Got 3 vertices with fewer"):
        trial_variances(once)
    with pytest.raises(ValueError, match=r"estimator must be 'trials' or 'means'. Got 'nsd'"):
        trial_variances(torch.rand(3, 3, 3), "nsd")
    with pytest.raises(ValueError, match=r"ncsnr must be 0 or above. Got -0.5"):
        noise_ceiling(torch.tensor([-0.5]))
    with pytest.raises(ValueError, match=r"repeats must be 1 or above for every image. Got 0.0"):
        noise_ceiling(torch.tensor([0.5]), torch.tensor([3, 0]))
