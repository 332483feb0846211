"""The gap that a newborn's bias has to make up for."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.plasticity.probe.score_gap import largest_gap
from graphcolumns.plasticity.probe.trace import iter_slices, trace
from tests.models.support.variants import make


def losses(output, labels: Tensor) -> Tensor:
    return F.cross_entropy(output.prediction, labels, reduction="none")


@pytest.fixture
def model():
    return make().double()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 1, 4, 4, dtype=torch.float64)


def test_equals_a_loop_over_what_the_model_does(model, images):
    pairs = torch.randint(32, (2, 7))
    [part] = iter_slices(model, images, torch.zeros(5).long(), losses)
    part = part.attention
    got = largest_gap(model, images, *pairs, slice_size=2, chunk=3)
    for row, (i, j) in zip(got, pairs.T.tolist(), strict=True):
        score = part.scale * (part.q[:, i] * part.k[:, j]).sum(-1) - part.lse[:, i]
        torch.testing.assert_close(row, score.amax((0, 1)))


def test_a_newborn_gets_no_more_than_its_share(model, images):
    pairs = torch.randint(32, (2, 50))
    share = 0.01
    born = math.log(share / (1 - share)) - largest_gap(model, images, *pairs)
    labels, seen = torch.zeros(5).long(), []
    for sample in range(5):
        part = slice(sample, sample + 1)
        scores = trace(model, images[part], labels[part], losses, *pairs, newborn_bias=born)
        seen.append(scores.would_be)
    edges = set(zip(*model.graph.edge_index.flip(0).tolist(), strict=True))
    new = [n for n, pair in enumerate(pairs.T.tolist()) if tuple(pair) not in edges]
    assert float(torch.stack(seen)[:, new].max()) <= share + 1e-12
    # The mean over steps and heads stays below the largest, but not far.
    assert float(torch.stack(seen)[:, new].max()) > share / 3


def test_no_graph_no_samples(model, images):
    pair = torch.zeros(2, 1).long()
    with pytest.raises(ValueError, match="at least one sample"):
        largest_gap(model, images[:0], *pair)
    other = ColumnGraph.from_edge_index(torch.tensor([[1], [0]]), 32)
    with pytest.raises(ValueError, match="none was recorded along"):
        largest_gap(model, images, *pair, graph=other)


def test_the_model_stays_as_it_was(model, images):
    model.train()
    largest_gap(model, images, *torch.zeros(2, 1).long())
    assert model.training
