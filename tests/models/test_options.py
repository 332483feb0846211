"""Options of models: values that check themselves, given as values or as mappings."""

import inspect
from dataclasses import FrozenInstanceError, fields, replace

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.columnformer import sheet
from graphcolumns.models.options import (
    AttentionOptions,
    CostOptions,
    InterfaceOptions,
    WeightOptions,
)
from graphcolumns.models.options.former import FORMER
from graphcolumns.models.options.groups import Groups
from graphcolumns.models.staged_columnformer import staged
from graphcolumns.models.staged_columnformer.build import topomoe_tiny

SHEETS = [grid.sheet(4, 4), grid.sheet(2, 2, spacing=2.0)]


def make(**options):
    torch.manual_seed(0)
    sizes = {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 4, "depth": 2}
    return sheet(SHEETS[0], connect.nearest(SHEETS[0], 3), **(sizes | options))


def make_staged(**options):
    torch.manual_seed(0)
    sizes = {"image_size": 4, "in_channels": 1, "num_classes": 3, "channels": 4, "depths": (1, 2)}
    return staged(SHEETS, heads=2, **(sizes | options))


def same(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return repr(one) == repr(other) and all(map(torch.equal, *zip(*pairs, strict=True)))


@pytest.mark.parametrize("group", Groups())
def test_frozen_values_that_can_be_compared(group):
    assert group == type(group)() == replace(group)
    assert hash(group) == hash(type(group)())
    with pytest.raises(FrozenInstanceError):
        group.dropout = 0.1
    with pytest.raises(TypeError, match="positional"):
        type(group)(1)


@pytest.mark.parametrize("group", Groups())
def test_every_field_is_explained(group):
    text = inspect.getdoc(type(group)).partition("Args:")[2]
    for field in fields(group):
        assert f"\n    {field.name}: " in text


def test_a_value_and_a_mapping_are_the_same():
    options = {"attention": "lowrank", "mlp": "mixture", "rank": 2}
    assert same(make(weights=options), make(weights=WeightOptions(**options)))
    assert same(make(), make(attention={}, weights={}, interface={}, cost={}))


def test_a_mapping_changes_fields_of_the_default_and_a_value_takes_its_place():
    default = WeightOptions(attention="shared", recurrent=False, std=0.02)
    changed = make_staged(weights={"rank": 2, "attention": "lowrank"})
    assert same(changed, make_staged(weights=replace(default, rank=2, attention="lowrank")))
    assert not same(changed, make_staged(weights=WeightOptions(rank=2, attention="lowrank")))
    tiny = topomoe_tiny(SHEETS[:1], image_size=64, channels=6, interface={"padding": 0})
    assert tiny.embed.patch == 16


WRONG = {
    "mode": (AttentionOptions, {"mode": "mean"}, "mode must be one of .*'identity'"),
    "value": (AttentionOptions, {"value": "key"}, "value must be one of"),
    "edge bias": (AttentionOptions, {"edge_bias": "yes"}, "edge_bias must be one of"),
    "edge dropout": (AttentionOptions, {"edge_dropout": 1.0}, r"edge_dropout must be in \[0, 1\)"),
    "sigma 0": (AttentionOptions, {"local_sigma": 0.0}, "local_sigma must be above 0"),
    "width": (AttentionOptions, {"qk_channels": 0}, "qk_channels must be at least 1"),
    "mlp": (WeightOptions, {"mlp": "tied"}, r"weights\.mlp must be one of .*'lowrank'"),
    "norm": (WeightOptions, {"norm": "tied"}, r"weights\.norm must be one of"),
    "rank": (WeightOptions, {"rank": 0}, "rank must be at least 1"),
    "hidden": (WeightOptions, {"hidden": 0}, "hidden must be at least 1"),
    "dropout": (WeightOptions, {"dropout": 1.5}, r"dropout must be in \[0, 1\)"),
    "std": (WeightOptions, {"std": 0.0}, "std must be above 0"),
    "drive": (InterfaceOptions, {"drive": "always"}, "drive must be one of"),
    "blur": (InterfaceOptions, {"blur": -1.0}, "blur and padding must be at least 0"),
    "stride": (InterfaceOptions, {"stride": 0}, "stride must be at least 1"),
    "readout weights": (InterfaceOptions, {"readout_weights": "x"}, "readout_weights must be"),
    "wiring": (CostOptions, {"wiring": "cubic"}, "wiring must be one of .*'communicability'"),
    "power": (CostOptions, {"power": 0.0}, "power must be above 0"),
    "sigma": (CostOptions, {"sigma": -1.0}, "sigma must be above 0"),
    "memory": (CostOptions, {"memory": "less"}, "memory must be one of"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_value_checks_itself(name):
    kind, options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_what_columns_see_is_kept_as_it_was_given():
    seen = torch.arange(16).flip(0)
    options = InterfaceOptions(receptive=seen)
    seen[0] = 0
    assert options == InterfaceOptions(receptive=list(range(15, -1, -1)))
    assert make(interface=options).receptive.tolist() == list(range(15, -1, -1))
    with pytest.raises(TypeError, match=r"receptive must be int64 ids, got torch\.float32"):
        InterfaceOptions(receptive=torch.zeros(16))
    with pytest.raises(TypeError, match=r"receptive must be int64 ids, got torch\.float32"):
        make(interface={"receptive": [0.5] * 16})


REFUSED = {
    "misspelt": ({"weights": {"mpl": "shared"}}, "Got 'mpl'. Did you mean 'mlp'?"),
    "of another group": (
        {"weights": {"edge_bias": "none"}},
        "Got 'edge_bias'. edge_bias is now attention.edge_bias: write attention={\"edge_bias\": ",
    ),
    "old name in its group": (
        {"weights": {"mlp_weights": "shared"}},
        "Got 'mlp_weights'. mlp_weights is now weights.mlp: write weights={\"mlp\": ...}.",
    ),
    "old string": (
        {"weights": "shared"},
        "weights must be WeightOptions(...) or a mapping of its fields: attention, mlp, norm, "
        "rank, hidden, activation, dropout, std, recurrent. Got 'shared'. weights is now "
        'weights.attention: write weights={"attention": ...}.',
    ),
    "another value": ({"cost": WeightOptions()}, "cost must be CostOptions(...) or a mapping"),
    "nothing": ({"cost": None}, "cost must be CostOptions(...) or a mapping"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_fields_that_are_not_there(name):
    options, message = REFUSED[name]
    with pytest.raises(TypeError) as error:
        make(**options)
    assert message in str(error.value)


@pytest.mark.parametrize("name", [name for name in FORMER if name not in Groups._fields])
def test_an_old_keyword_names_the_new_one(name):
    group, _, field = FORMER[name].partition(".")
    message = f'^{name} is now {group}\\.{field}: write {group}={{"{field}": ...}}'
    for function in (make, make_staged):
        with pytest.raises(TypeError, match=message):
            function(**{name: None})


def test_old_keywords_are_all_fields():
    now = {
        f"{name}.{field.name}"
        for name, group in Groups()._asdict().items()
        for field in fields(group)
    }
    # These came after the groups.
    later = {"attention.inhibition", "attention.excitatory_beyond", "weights.activation"}
    assert sorted(FORMER.values()) == sorted(now - later)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"weights": {"mlp": "shared"}}, "mlp"),
        ({"attention": {"edge_bias": "none"}}, "edge_bias"),
        ({"interface": {"readout": "mean"}}, "readout"),
        ({"attention": AttentionOptions(mode="selection")}, "mode"),
        ({"weights": WeightOptions(attention="shared", norm="untied")}, "norm"),
    ],
)
def test_what_several_sheets_do_not_have_is_refused(options, field):
    with pytest.raises(TypeError, match=f"must have fields among .*Got '{field}'"):
        make_staged(**options)
