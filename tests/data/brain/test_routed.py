"""Simulated responses: the truth explains them, and who does not know it cannot."""

import math
import re

import pytest
import torch
from sklearn.linear_model import Ridge

from graphcolumns.data.brain import routed_responses, routing_of
from graphcolumns.data.metrics import pearson_per_target, r2_per_target

CLEAN = {"noise": 0.0, "clutter": 0.0, "train_count": 400, "test_count": 400}


def of_family(values, routing, family):
    """Values of the vertices of a family, the last dimension of ``values``."""
    return values[..., routing.family_of_vertex(family)]


def explained(read, targets):
    """R2 of linear functions of what was read, fitted on the first half and scored on the other."""
    read = torch.cat([read, torch.ones(len(read), 1)], 1).double()
    half = len(read) // 2
    weights = torch.linalg.lstsq(read[:half], targets[:half].double()).solution
    return r2_per_target(read[half:] @ weights, targets[half:])


def test_shapes_regions_and_ceilings():
    data = routed_responses(train_count=20, test_count=10, noise=2.0)
    assert data.train_inputs["features"].shape == (20, 49, 32)
    assert data.test_targets.shape == (10, 120)
    regions = data.task.regions
    assert regions.names[:4] == ("retinotopic 1", "retinotopic 2", "retinotopic 3", "content 1")
    assert regions.vertices("content 1").tolist() == list(range(36, 48))
    # 1 / (1 + 2 ** 2), and nothing to be explained in the last region.
    assert data.task.noise_ceiling.tolist() == pytest.approx([0.2] * 108 + [0.0] * 12)


def test_a_receptive_field_worked_by_hand():
    routing = routing_of(size=3, distractors=0, field=0.7, train_count=2, test_count=2)
    row, column = routing.centres[0].tolist()
    weights = [
        math.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * 0.7**2))
        for y in range(3)
        for x in range(3)
    ]
    length = math.sqrt(sum(weight**2 for weight in weights))
    assert routing.fields[0].tolist() == pytest.approx([w / length for w in weights], abs=1e-6)
    assert routing.fields[3].eq(0).all()
    assert (
        routing.centres.isnan().all(1).tolist()
        == [False] * 3 + [True] * 3 + [False] * 2 + [True] * 2
    )


def test_the_best_linear_function_worked_by_hand():
    # With one token the object is always there; with four it is there in a quarter of the samples.
    regions = {"content": 1, "retinotopic": 1, "noise": 1}
    limits = [
        routing_of(
            size=size, regions=regions, vertices=1, distractors=0, train_count=2
        ).linear_limit
        for size in (1, 2)
    ]
    assert [limit.tolist() for limit in limits] == [[1, 1, 0], [0.25, 1, 0]]


def test_what_is_read_where_the_truth_says_explains_all():
    data, routing = routed_responses(**CLEAN), routing_of(**CLEAN)
    tokens, targets = data.test_inputs["features"], data.test_targets
    seen = torch.einsum("rm,nmd->nrd", routing.fields, tokens)
    for region, (name, family) in enumerate(
        zip(routing.regions.names, routing.regions.families, strict=True)
    ):
        of_region = targets[:, routing.regions.mask(name)]
        place = routing.test_places[:, region]
        at_object = tokens[torch.arange(len(tokens)), place]
        beside = tokens[torch.arange(len(tokens)), (place + 1) % 49]
        if family == "retinotopic":
            assert explained(seen[:, region], of_region).min() > 1 - 1e-6
            assert place.eq(-1).all()
        elif family == "content":
            assert explained(at_object, of_region).min() > 1 - 1e-6
            assert explained(beside, of_region).mean() < 0.05
        elif family == "mixed":
            both = torch.cat([seen[:, region], at_object], 1)
            assert explained(both, of_region).min() > 1 - 1e-6
            assert explained(at_object, of_region).mean() < 0.75


def test_every_kind_occurs_once_among_distractors():
    options = CLEAN | {"train_count": 2000}
    data, routing = routed_responses(**options), routing_of(**options)
    tokens, count = data.train_inputs["features"], 2000
    for region in (3, 7):
        place = routing.train_places[:, region]
        kind = tokens[torch.arange(count), place].mean(0)
        assert float(kind.norm()) == pytest.approx(3.0, abs=0.3)
        shown = tokens @ kind / kind.norm()
        assert (shown.argmax(1) == place).double().mean() > 0.98
        # Uniform over 49 places: about 41 each, with a standard deviation of 6.3.
        assert place.bincount(minlength=49).min() > 15
        assert place.bincount().max() < 70
    chosen = routing.train_places[:, routing.kinds >= 0].sort(1).values
    assert (chosen.diff(dim=1) > 0).all(), "two objects at one place"


def test_the_ceiling_is_what_the_signal_reaches_and_the_variance_is_that_of_the_formula():
    options = {"train_count": 2, "test_count": 4000, "channels": 20, "content": 8}
    noisy, clean = routed_responses(**options), routed_responses(**options, noise=0.0)
    routing = routing_of(**options)
    share = pearson_per_target(clean.test_targets, noisy.test_targets).square()
    null = routing.family_of_vertex("noise")
    assert share[~null].mean().item() == pytest.approx(0.8, abs=0.004)
    assert share[~null].min() > 0.77
    assert clean.test_targets.var(0).mean().item() == pytest.approx(1, abs=0.01)
    assert noisy.test_targets[:, null].var(0).mean().item() == pytest.approx(1.25, abs=0.04)
    # The null region is noise of its own.
    tokens = noisy.test_inputs["features"].mean(1)
    assert explained(tokens, noisy.test_targets[:, null]).mean() < 0.005


def test_ridge_reads_what_a_linear_function_can_and_nothing_else():
    options = {"size": 4, "channels": 16, "content": 6, "distractors": 2, "noise": 0.0}
    options |= {"train_count": 16000, "test_count": 2000}
    data, routing = routed_responses(**options), routing_of(**options)
    ridge = Ridge(alpha=1.0).fit(data.train_inputs["features"].flatten(1), data.train_targets)
    predicted = torch.from_numpy(ridge.predict(data.test_inputs["features"].flatten(1)))
    score = r2_per_target(predicted, data.test_targets)
    for family in ("retinotopic", "linear"):
        assert of_family(score, routing, family).min() > 0.999
    # Sixteen tokens: a linear function explains one sixteenth at best.
    found = of_family(score, routing, "content").mean().item()
    assert 1 / 16 - 0.03 < found < 1 / 16
    limit = of_family(routing.linear_limit, routing, "mixed")
    assert of_family(score, routing, "mixed").tolist() == pytest.approx(limit.tolist(), abs=0.08)
    assert of_family(score, routing, "noise").max() < 0.01


def test_the_mean_token_reaches_the_linear_limit_of_routed_regions():
    options = {"size": 3, "distractors": 0, "noise": 0.0, "train_count": 2, "test_count": 8000}
    data, routing = routed_responses(**options), routing_of(**options)
    score = explained(data.test_inputs["features"].mean(1), data.test_targets)
    assert of_family(score, routing, "content").mean().item() == pytest.approx(1 / 9, abs=0.01)


def test_world_and_test_samples_do_not_depend_on_the_number_of_training_samples():
    few, many = (routed_responses(train_count=n, test_count=5) for n in (3, 30))
    assert torch.equal(few.test_targets, many.test_targets)
    assert torch.equal(few.test_inputs["features"], many.test_inputs["features"])
    other = routed_responses(train_count=3, test_count=5, seed=1)
    assert not torch.equal(few.test_targets, other.test_targets)


def test_edges_that_queries_need():
    routing = routing_of(train_count=2, test_count=2, field=0.2)
    needed = routing.required().sum(1).tolist()
    assert needed[3:] == [49] * 6 + [0]
    assert all(1 <= count <= 4 for count in needed[:3])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"regions": {"faces": 1}},
            "regions must be of the families 'retinotopic', 'content', 'mixed', 'linear', 'noise'. "
            "Got 'faces'.",
        ),
        (
            {"regions": {"content": 0}},
            "there must be a region, with a vertex or more. Got regions={'content': 0}, "
            "vertices=12.",
        ),
        (
            {"distractors": 45},
            "objects must have places of their own. Expected at most 49. "
            "Got 5 that are read and distractors=45.",
        ),
        (
            {"channels": 24},
            "channels must have room for the content and for a channel per kind. Expected "
            "content >= 1 and channels >= 25. Got content=16, channels=24.",
        ),
        (
            {"noise": -1.0},
            "routed_responses needs field > 0, noise >= 0, strength >= 0 and clutter >= 0. "
            "Got field=0.5, noise=-1.0, strength=3.0, clutter=0.3.",
        ),
    ],
)
def test_wrong_input(wrong, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        routed_responses(**{"train_count": 2, "test_count": 2} | wrong)
