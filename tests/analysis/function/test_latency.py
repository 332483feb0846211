"""States of any model, and the first step at which a column responds."""

import math

import pytest
import torch
from torch import nn

from graphcolumns.analysis.function import (
    ModelStates,
    d_prime,
    fields_at_response,
    model_states,
    rank_correlation,
    receptive_field_areas,
    response_latency,
)
from graphcolumns.data.spec import TensorSpec
from graphcolumns.nn.protocols import ModelOutput
from tests.analysis.function.support.chains import Chain, chain_graph

LABELS = torch.arange(40) % 2


def chain_states(**options):
    torch.manual_seed(0)
    inputs = torch.randn(40, 3) + 8 * LABELS[:, None]
    return model_states(Chain(chain_graph()), inputs, **options)


def test_the_axes_are_step_column_sample_channel():
    found = chain_states(batch_size=7)
    assert repr(found) == "ModelStates(3 steps, 5 columns, 40 samples, 3 channels)"
    assert found.values.equal(chain_states(batch_size=40).values)
    assert found.at(2).equal(found.values[1])
    assert found.at(-1).equal(found.values[2])


def test_columns_are_in_the_order_of_the_user():
    """Column 0 of the model has id 4 for the user, column 1 has 3, and so on."""
    plain, user = chain_states(), chain_states(permutation=torch.arange(5).flip(0))
    assert user.values.equal(plain.values.flip(1))
    two = chain_states(permutation=torch.arange(5).flip(0), columns=torch.tensor([4, 2]))
    assert two.columns == (4, 2)
    assert two.values.equal(plain.values[:, [0, 2]])


def test_channels_may_become_one():
    states = chain_states()
    assert chain_states(channels="norm").values.allclose(states.values.norm(dim=-1)[..., None])
    assert chain_states(channels="mean").values.shape == (3, 5, 40, 1)


@pytest.mark.parametrize(
    ("response", "threshold"), [("change", 0.0), ("d_prime", 1.0), ("decoding", 0.9)]
)
def test_latency_along_a_chain_is_the_distance(response, threshold):
    """The state of column n is 0 until step n; column 0 holds the input from the start."""
    states = chain_states()
    rest = model_states(Chain(chain_graph()), torch.zeros(1, 3))
    labels = None if response == "change" else LABELS
    found = response_latency(
        states,
        labels,
        response=response,
        threshold=threshold,
        baseline=rest if response == "change" else None,
    )
    assert found.latency[:4].tolist() == [1, 1, 2, 3]
    assert math.isnan(found.latency[4])
    assert found.scores.shape == (3, 5)


def test_d_prime_by_hand():
    """Inside 1 and 3 (mean 2, variance 1), outside -1 and 1 (mean 0, variance 1): 2."""
    state = torch.tensor([[1.0, 3, -1, 1], [5, 5, 5, 5], [1, 1, 0, 0]])[..., None]
    assert d_prime(state, torch.tensor([1, 1, 0, 0])).tolist() == [2, 0, math.inf]


def test_rank_correlation():
    x = torch.arange(8).double()
    found = rank_correlation(x, x.exp())
    assert found.rho == pytest.approx(1)
    assert found.p == pytest.approx(1 / 1001, abs=2e-3)
    assert rank_correlation(x, -x).rho == pytest.approx(-1)
    left_out = torch.cat([x, torch.tensor([torch.nan])])
    assert rank_correlation(left_out, left_out).columns == 8
    assert math.isnan(rank_correlation(x, torch.ones(8)).rho)


def test_p_of_independent_values_is_not_small():
    generator = torch.Generator().manual_seed(0)
    draws = [torch.rand(2, 30, generator=generator) for _ in range(60)]
    p = torch.tensor([rank_correlation(*draw, permutations=200).p for draw in draws])
    assert 0.3 < p.mean() < 0.7
    assert (p < 0.05).double().mean() < 0.15


def test_areas_of_fields_by_hand():
    """One pixel, and two pixels of a row: variances 1/4 + 1/12 and 1/12."""
    fields = torch.zeros(3, 9, 9)
    fields[0, 4, 4] = 0.1
    fields[1, 4, 3:5] = 1
    found = receptive_field_areas(fields)
    assert found[0] == pytest.approx(math.pi / 3)
    assert found[1] == pytest.approx(4 * math.pi * math.sqrt(4 / 12 / 12))
    assert found[2].isnan()


def test_the_area_of_a_gaussian():
    """Energy with standard deviations 3 and 2, turned by 30 degrees: 4 pi times 6."""
    y, x = torch.meshgrid(torch.arange(61.0) - 30, torch.arange(61.0) - 30, indexing="ij")
    a, b = math.cos(math.pi / 6), math.sin(math.pi / 6)
    energy = torch.exp(-((a * x + b * y) ** 2) / 18 - (a * y - b * x) ** 2 / 8)
    assert receptive_field_areas(energy.sqrt()[None])[0] == pytest.approx(24 * math.pi, rel=0.02)


class Rows(nn.Module):
    """After step t the state of column n is the sum of the first t pixels of row n."""

    def forward(self, images, return_states=False):
        sums = images[:, 0].transpose(0, 1).cumsum(-1)
        return ModelOutput(images, sums[..., -1:], states=sums.permute(2, 0, 1)[..., None])


LATENCY = torch.tensor([3.0, 1.0, torch.nan])


def test_fields_at_first_response():
    """Columns 0 and 1 have latency 3 and 1 for the user; column 2 none."""
    image, latency = TensorSpec("image", (1, 3, 4), torch.float32), LATENCY
    found = fields_at_response(Rows(), torch.rand(2, 1, 3, 4), image, latency)
    assert found.tolist() == [
        [[1, 1, 1, 0], [0] * 4, [0] * 4],
        [[0] * 4, [1, 0, 0, 0], [0] * 4],
        [[0] * 4] * 3,
    ]
    order = torch.tensor([2, 1, 0])
    user = fields_at_response(Rows(), torch.rand(2, 1, 3, 4), image, latency, permutation=order)
    assert user[0].tolist() == [[0] * 4, [0] * 4, [1, 1, 1, 0]]
    assert user[1].equal(found[1])
    with pytest.raises(ValueError, match=r"latency must be of steps of the model, 1 to 4. Got 5"):
        fields_at_response(Rows(), torch.rand(2, 1, 3, 4), image, latency + 4)


class Nothing(nn.Module):
    def forward(self, inputs):
        return ModelOutput(inputs)


SEVEN = torch.tensor([0, 1, 2, 3, 4, 5, 7])
ERRORS = [
    (lambda: ModelStates(torch.zeros(2, 3)), "values must be floating states"),
    (lambda: ModelStates(torch.full((1, 1, 1, 1), torch.nan)), "states must be finite. Got 1 val"),
    (lambda: chain_states().at(0), "step must be one of 1, 2, 3, or negative from the end. Got 0"),
    (lambda: chain_states(permutation=SEVEN), "permutation must hold every id from 0 to 4 once"),
    (lambda: chain_states(columns=torch.tensor([9])), r"columns must be ids in \[0, 5\). Got 9"),
    (lambda: chain_states(columns=torch.tensor([1, 1])), "columns must be different ids"),
    (lambda: model_states(Nothing(), torch.ones(2, 1)), "a model must return the states"),
    (
        lambda: response_latency(chain_states(), response="d_prime", threshold=1.0),
        "response='d_prime' needs labels",
    ),
    (
        lambda: response_latency(chain_states(), response="change", threshold=1.0),
        "response='change' needs a baseline",
    ),
    (
        lambda: response_latency(
            chain_states(), torch.zeros(40).long(), response="d_prime", threshold=1.0
        ),
        "labels must be of at least two classes",
    ),
    (
        lambda: response_latency(chain_states(), LABELS, response="d_prime", threshold=math.nan),
        "threshold must be a number",
    ),
    (lambda: d_prime(torch.ones(1, 3, 1), LABELS), r"labels must be one class per sample, \[3\]"),
    (lambda: rank_correlation(torch.ones(3), torch.ones(4)), "x and y must have one value per"),
    (lambda: receptive_field_areas(-torch.ones(1, 2, 2)), "fields must be finite and not negative"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_wrong_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
