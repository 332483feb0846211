"""Groups of options, each given as a value or as a mapping of its fields."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from graphcolumns.models.options.attention import AttentionOptions
from graphcolumns.models.options.cost import CostOptions
from graphcolumns.models.options.interface import InterfaceOptions
from graphcolumns.models.options.read_group import Given, read_group
from graphcolumns.models.options.weights import WeightOptions


class Groups(NamedTuple):
    """The options of a columnformer.

    Attributes:
        attention: What a column receives.
        weights: Whose weights it has.
        interface: What it sees and how it is read.
        cost: What it costs.
    """

    attention: AttentionOptions = AttentionOptions()
    weights: WeightOptions = WeightOptions()
    interface: InterfaceOptions = InterfaceOptions()
    cost: CostOptions = CostOptions()


def read_groups(
    attention: AttentionOptions | Given,
    weights: WeightOptions | Given,
    interface: InterfaceOptions | Given,
    cost: CostOptions | Given,
    defaults: Groups,
    takes: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Groups:
    """The options of a columnformer as values.

    A value is taken as it is; the fields of a mapping take the place of those of the default.

    Args:
        attention: What a column receives.
        weights: Whose weights it has.
        interface: What it sees and how it is read.
        cost: What it costs.
        defaults: Options of a model where nothing is said.
        takes: Fields that a model has, by group; groups that are not named have all their fields.

    Raises:
        TypeError: Neither a value nor a mapping, or a field that the model does not have.
        ValueError: A field out of its range.
    """
    return Groups(
        read_group("attention", attention, defaults.attention, takes),
        read_group("weights", weights, defaults.weights, takes),
        read_group("interface", interface, defaults.interface, takes),
        read_group("cost", cost, defaults.cost, takes),
    )
