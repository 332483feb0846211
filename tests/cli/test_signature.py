"""Keys and values of a configuration against the options that functions share."""

from typing import Literal, TypedDict, Unpack

import pytest

from graphcolumns.cli.signature import check_call, check_keys, check_value, hints_of


class Options(TypedDict, total=False):
    """What functions of this page share."""

    many: int
    kind: str


def made(steps: int, own: float = 0.0, **options: Unpack[Options]) -> None:
    """A function whose further options are known."""


NODE = {"_target_": f"{__name__}.made", "_partial_": True}


def test_shared_options_are_arguments_like_others():
    check_call("group", {**NODE, "own": 1, "many": 2, "kind": "x"}, ("steps",))
    assert set(hints_of(made)) == {"steps", "own", "many", "kind", "return"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"mny": 2}, ValueError, r"key 'group\.mny'\. Did you mean 'many'\? Keys in group: own, "),
        ({"options": 2}, ValueError, r"unknown key 'group\.options'"),
        ({"steps": 2}, ValueError, r"unknown key 'group\.steps'"),
        ({"many": "x"}, TypeError, r"group\.many must be a whole number\. Got 'x'"),
        ({"kind": 3}, TypeError, r"group\.kind must be text\. Got 3"),
    ],
)
def test_other_keys_and_values_are_refused(given, error, message):
    with pytest.raises(error, match=message):
        check_call("group", {**NODE, **given}, ("steps",))


@pytest.mark.parametrize("name", ["rigl", "exact", "custom", "static"])
def test_a_preset_refuses_keys_that_no_rule_has(name):
    preset = {"_target_": f"graphcolumns.plasticity.presets.{name}", "_partial_": True}
    more = {"prune": None} if name == "custom" else {}
    with pytest.raises(ValueError, match=r"plasticity\.evry"):
        check_call("plasticity", {**preset, **more, "evry": 3}, ("steps",))
    if name != "static":
        with pytest.raises(ValueError, match=r"plasticity\.check is now plasticity\.check_samples"):
            check_call("plasticity", {**preset, **more, "check": 3}, ("steps",))


def test_a_function_without_keys_says_so():
    with pytest.raises(ValueError, match=r"key 'model\.wiring'\. There are no keys in model\.$"):
        check_keys("model", {"wiring": 3}, [])


def test_a_former_option_of_the_rule_of_a_graph_is_named():
    with pytest.raises(ValueError, match=r"plasticity\.far\.share is now plasticity\.far\.eps"):
        check_keys("plasticity.far", {"share": 0.1}, ["every", "samples"])


def test_a_former_value_is_named_as_it_is_today():
    with pytest.raises(TypeError, match=r"Got 'bias'\. It is now 'weight'\.$"):
        check_value("plasticity.magnitude", "bias", Literal["mass", "weight"])
