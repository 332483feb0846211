"""What ``graphcolumns --help`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from textwrap import fill

GROUPS = {
    "geometry": "where columns are",
    "graph": "which columns attend to which",
    "model": "what a column does",
    "budget": "how wide it may be",
    "plasticity": "the rule by which edges are pruned and grown",
    "data": "the task",
    "optimizer": "how it is optimised",
    "learning": "the rule that fills gradients",
    "experiment": "a tried combination of all of these",
}

TEXT = """graphcolumns: sheets of columns on a sparse graph, trained from configurations.

Commands
  graphcolumns train [KEY=VALUE ...]   train, and write a run folder
  graphcolumns resume RUN              continue a run that was stopped
  graphcolumns evaluate RUN            score a run on its held-out half
  graphcolumns report RUN              write RUN/report.html again
  graphcolumns collect FOLDER          the runs of a sweep as one table and one figure
  graphcolumns connectome PATH|RUN     metrics of a connectome beside their nulls
  graphcolumns experiment [NAME]       arms x seeds of trainings, compared (experiment --help)
  graphcolumns bench                   measure the kernels against peers (bench --help)
  graphcolumns build-kernels           compile the C++ kernels now, not at their first use
  graphcolumns --help | --version      COMMAND --help says what else it takes

Examples
  graphcolumns train experiment=digits
  graphcolumns train experiment=digits graph.degree=4 model.depth=8 seed=1
  graphcolumns train -m experiment=digits graph=nearest,isolated seed=0,1,2

Config groups: choose with GROUP=CHOICE, change with GROUP.KEY=VALUE
{groups}

`graphcolumns train --cfg job` prints the whole configuration with your changes, and trains nothing.
`-m` runs every combination, keeps what is done and tells what failed; hydra/launcher=joblib runs
them side by side (needs graphcolumns[sweep]).
"""


def overview() -> str:
    """The commands, the config groups with their choices, and three examples."""
    return TEXT.format(groups=_groups()).rstrip()


def _groups() -> str:
    return "\n".join(f"{_wrapped(group)}\n{'':14}({meaning})" for group, meaning in GROUPS.items())


def _wrapped(group: str) -> str:
    """A group and its choices in lines of at most 100 characters."""
    return fill(
        ", ".join(choices(group)), 100, initial_indent=f"  {group:<12}", subsequent_indent=" " * 14
    )


def keys() -> str:
    """The config groups, and all other keys with their defaults and comments."""
    text = (files("graphcolumns.configs") / "train.yaml").read_text(encoding="utf-8")
    return f"Config groups, GROUP=CHOICE\n{_groups()}\n\n" + "\n".join(
        ["Keys, KEY=VALUE, and GROUP.KEY=VALUE for those of a group", *_values(text)]
    )


def _values(text: str) -> Iterator[str]:
    """The lines of train.yaml between the list of defaults and the settings of hydra."""
    values = text[text.index("# Shared numbers") : text.index("\nhydra:")]
    yield from (f"  {line}".rstrip() for line in values.splitlines())


def choices(group: str) -> list[str]:
    """The files in one config group, by name."""
    folder = files("graphcolumns.configs") / group
    names = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))
