"""From a configuration to a training that is ready to start: built once, and tried once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import NamedTuple

from graphcolumns.analysis.report import check_report
from graphcolumns.cli.build import Parts, build
from graphcolumns.cli.check import CheckedConfig
from graphcolumns.cli.order import check_rule, on_the_geometry
from graphcolumns.cli.own import try_metrics
from graphcolumns.cli.report import in_memory
from graphcolumns.nn.protocols import graph_of
from graphcolumns.training.noting import noting
from graphcolumns.training.plastic_updates import rules_by_graph
from graphcolumns.training.training import Training
from graphcolumns.training.trying import trying


class Prepared(NamedTuple):
    """A run before its first step.

    Attributes:
        parts: Parts that the configuration names.
        training: Training of these parts, tried and ready to start.
    """

    parts: Parts
    training: Training


def prepare(config: CheckedConfig, changes: Collection[str] = ()) -> Prepared:
    """Build what a configuration names and try it, report included. Writes nothing.

    Prints what the report of the run will leave out, if it has one.

    Args:
        config: Configuration of the run.
        changes: Names of options that are meant to differ from the run that is resumed.

    Raises:
        ValueError, TypeError, FileNotFoundError: Whatever is wrong with the configuration, or the
            model cannot be observed; with ``report=false`` it trains all the same.
    """
    parts = build(config)
    parts = parts._replace(options=replace(parts.options, changes=changes))
    _check_rules(parts)
    # A model that takes neither geometry nor graph has columns of its own: no order of the geometry
    # is of them, and it does not say where the ends of their edges are.
    own_columns = not on_the_geometry(config)
    nowhere = own_columns and "plasticity" in parts.functions
    training = Training(
        parts.model,
        parts.data,
        parts.options,
        losses=parts.losses,
        geometry=None if nowhere else parts.geometry,
        permutation=None if own_columns else parts.permutation,
        **parts.functions,
    )
    with trying(training.model, parts.options.device, "while trying metrics"):
        try_metrics(training.model, training.data, training.metrics)
    if config["report"]:
        _check_report(parts, training)
    return Prepared(parts, training)


def _check_rules(parts: Parts) -> None:
    """Raise in the ids of the user if the first edges break a constraint of a rule."""
    steps = parts.options.count_steps(parts.data.size("train"))
    with noting("while starting the rule of plasticity"):
        rules = rules_by_graph(parts.functions.get("plasticity"), parts.model)
        for name, make in rules.items():
            check_rule(make(steps=steps), graph_of(parts.model, name), parts.permutation)


def _check_report(parts: Parts, training: Training) -> None:
    """Try the report, and print what it will leave out."""
    with noting("while trying the report; with report=false there is none"):
        few = in_memory(training.data, 1)
        missing = check_report(training.model, few, parts.geometry, parts.permutation)
    for reason in missing:
        print(f"{'report':<20}{reason}")
