"""Scores and ensembles: defects that such encoders have had, after Adeli et al."""

import pytest
import torch
from torch import nn

from graphcolumns.analysis.brain import (
    algonauts_score,
    encoding_table,
    ensemble,
    ensemble_weights,
)
from graphcolumns.data import metrics
from graphcolumns.geometry import Regions
from graphcolumns.models.brain_encoder import VertexReadout, region_edges
from tests.models.brain_encoder.support.small import V


def test_a_ceiling_of_zero_is_no_score():
    """A vertex that images cannot explain is left out and counted; it does not score 1."""
    targets = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    ceiling = torch.tensor([1.0, 0.5, 0.0, 0.0])
    share = metrics.ceiling_fraction_per_target(targets, targets, ceiling)
    assert share.isnan().tolist() == [False, False, True, True]
    score = algonauts_score(targets, targets, ceiling)
    assert (score.vertices, score.zero_ceiling) == (2, 2)
    table = encoding_table({"a": targets}, targets, noise_ceiling=ceiling)
    assert table.rows[0].zero_ceiling == 2
    # The rule that is avoided: a small number in place of 0, and a clip at 1.
    small = (metrics.pearson_per_target(targets, targets) ** 2 / 1e-14).clamp(max=1)
    assert small[2:].tolist() == [1, 1]


def test_noise_in_all_vertices_scores_near_zero():
    """A prediction that knows nothing has no score, whatever the ceilings."""
    draws = torch.Generator().manual_seed(0)
    targets, guess = torch.randn(2, 400, 300, generator=draws)
    ceiling = torch.full((300,), 0.5)
    ceiling[:150] = 0
    score = algonauts_score(guess, targets, ceiling)
    assert score.median < 1
    assert score.mean < 1
    assert score.vertices == 150


def test_the_weights_of_an_ensemble_sum_to_one_over_layers_and_runs():
    """An ensemble of one prediction, many times, is that prediction and not a multiple of it."""
    draws = torch.Generator().manual_seed(0)
    layers, runs = 6, 4
    correlations = torch.rand(layers * runs, V, generator=draws)
    weights = ensemble_weights(correlations)
    torch.testing.assert_close(weights.sum(0), torch.ones(V, dtype=torch.float64))
    prediction = torch.randn(10, V, generator=draws)
    torch.testing.assert_close(ensemble([prediction] * (layers * runs), weights), prediction)
    per_run = torch.cat([ensemble_weights(part) for part in correlations.split(layers)])
    with pytest.raises(ValueError, match="sum to 1 over members"):
        ensemble([prediction] * (layers * runs), per_run)


def test_a_bias_is_added_per_region_or_averaged_as_said():
    """Overlapping regions add what they predict, their biases too, or are averaged: an option."""
    masks = {"a": torch.tensor([True, True]), "b": torch.tensor([True, False])}
    overlap = Regions.from_masks(masks)
    for reduce, expected in (("sum", [2.0, 1.0]), ("mean", [1.0, 1.0])):
        read = VertexReadout(region_edges(overlap), 4, reduce)
        nn.init.zeros_(read.weight)
        nn.init.ones_(read.bias)
        assert read(torch.randn(2, 1, 4))[0].tolist() == expected
