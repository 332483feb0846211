"""Options side by side are sorted into the values of a rule, and wrong ones are refused by name."""

import copy
from dataclasses import fields, replace
from functools import partial
from typing import get_type_hints

import pytest

from graphcolumns.plasticity import (
    Acceptance,
    Newborns,
    Plasticity,
    Rule,
    Scoring,
    criteria,
    presets,
    rule_from_options,
)
from graphcolumns.plasticity.rules.former import RENAMED
from graphcolumns.plasticity.rules.options import PresetOptions, RuleOptions, SharedOptions
from graphcolumns.plasticity.rules.values import VALUES


def test_every_option_reaches_its_value():
    rule = rule_from_options(
        prune=criteria.mass, samples=32, accept="net_gain", margin=0.5, grace=2, fraction=0.1
    )
    assert (rule.scoring.prune, rule.scoring.samples) == (criteria.mass, 32)
    assert rule.acceptance == Acceptance(accept="net_gain", margin=0.5)
    assert rule.newborns == Newborns(grace=2)
    assert rule.fraction == 0.1
    assert rule.num_samples == 32 + 64


def test_options_have_the_names_and_types_of_the_fields():
    """Said once more for type checkers and configurations, so they must agree."""
    hints = {}
    for kind in (Rule, *VALUES.values()):
        hints |= get_type_hints(kind)
    assert get_type_hints(RuleOptions) == {k: v for k, v in hints.items() if k not in VALUES}
    shared = get_type_hints(SharedOptions)
    assert shared.items() <= get_type_hints(PresetOptions).items()


def test_names_of_fields_are_unique_and_few():
    names = [[entry.name for entry in fields(kind)] for kind in (Rule, *VALUES.values())]
    together = [name for several in names for name in several]
    assert len(set(together)) == len(together)
    assert max(map(len, names)) <= 15
    assert not set(RENAMED) & set(together)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "sample",
            r"no option 'sample'\. Did you mean 'samples'\? Options: .*prune, .*choose",
        ),
        ("scoring", r"no option 'scoring'\. "),
        *((old, rf"no option '{old}'\. It is now '{now}'\.") for old, now in RENAMED.items()),
    ],
)
def test_an_option_that_no_rule_has(option, message):
    for make in (lambda **options: rule_from_options(prune=criteria.mass, **options), rigl):
        with pytest.raises(ValueError, match=message):
            make(**{option: 3})


def test_a_misspelt_option_of_presets_is_found_among_those_of_presets():
    message = r"a preset has no option 'evry'\. Did you mean 'every'\? Options: .*every, start, "
    with pytest.raises(ValueError, match=message):
        rigl(evry=10)


def rigl(**options) -> Rule:
    return presets.rigl(100, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prune": "mass"}, TypeError, r"prune must be a function of Evidence.*Got 'mass'; in a"),
        ({"grow": "chance"}, TypeError, r"grow must be a function of Evidence.*Got 'chance'; in a"),
        ({"samples": 1}, ValueError, r"samples must be at least 2\. Got 1"),
        ({"samples": 2.0}, TypeError, r"samples must be a whole number\. Got 2\.0"),
        ({"per_grow": 0.5}, ValueError, "per_grow must be at least 1"),
        ({"per_grow": float("inf")}, ValueError, "per_grow must be at least 1. Got inf"),
        ({"accept": "maybe"}, ValueError, "accept must be one of 'always', 'net_gain', 'split'"),
        ({"groups": 0}, ValueError, "groups must be at least 1"),
        ({"groups": 2}, ValueError, r"groups=2 and tolerance=None"),
        ({"check_samples": -1}, ValueError, "check_samples must be at least 0"),
        ({"check_samples": 0, "tolerance": 0.0}, ValueError, "Got check_samples=0; raise"),
        ({"regrow": True, "groups": 2, "tolerance": 0.0}, ValueError, "regrow=True and groups=2"),
        ({"regrow": True, "accept": "split"}, ValueError, "Got accept='split'"),
        ({"regrow": True, "grow": None}, ValueError, "Got grow=None"),
        ({"temperature": 1.0, "accept": "split"}, ValueError, "a temperature draws"),
        ({"first_value": "warm"}, ValueError, "first_value must be one of 'node_mean', 'zero_w"),
        ({"epsilon_share": 1.0}, ValueError, r"epsilon_share must be in \[0, 1\)"),
        ({"first_value": "epsilon", "epsilon_share": 0.0}, ValueError, "Got epsilon_share=0"),
        ({"grace": True + 0.5}, TypeError, "grace must be a whole number"),
        ({"cool_down": -1}, ValueError, "cool_down must be at least 0"),
        ({"reserve": 1.0}, ValueError, r"reserve must be in \[0, 1\)"),
        ({"choose": max, "accept": "split"}, ValueError, "a rule with its own choose takes no"),
    ],
)
def test_values_refuse_what_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        rule_from_options(**{"prune": criteria.mass, "grow": criteria.chance, **options})


def test_pairs_that_cool_down_are_read_from_checkpoints_of_earlier_versions():
    state = Plasticity(rigl()).state_dict()
    state["resting"] = state.pop("cool_down")
    later = Plasticity(rigl())
    later.load_state_dict(state)
    assert not len(later.cool_down.keys)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("prune", r"prune is now scoring\.prune: write Rule\(scoring=Scoring\(prune=\.\.\.\)\)"),
        ("grace", r"grace is now newborns\.grace"),
        ("check", r"check is now acceptance\.check_samples: .* rule_from_options\(check_samples="),
        ("newborn", r"newborn is now newborns\.first_value: write Rule\(newborns=Newborns\(first_"),
        ("when", r"when is now is_due: write Rule\(is_due="),
        ("nothing", "unexpected keyword argument 'nothing'"),
    ],
)
def test_a_field_of_an_earlier_version_is_refused_with_its_place_of_today(option, message):
    for make in (Rule, partial(replace, rigl())):
        with pytest.raises(TypeError, match=message):
            make(**{option: 3})


def test_a_rule_is_copied():
    for copied in (copy.deepcopy(rigl()), replace(rigl(), fraction=0.5)):
        assert copied.scoring.prune is criteria.mass


def test_a_rule_needs_a_score():
    with pytest.raises(TypeError, match="prune"):
        Scoring()  # type: ignore[call-arg]
