"""Transformer-like models of the brain as sparse graphs of columns."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING, Any


def _is_command() -> bool:
    """Whether this process is ``graphcolumns``, ``python -m graphcolumns.cli`` or ``.bench``."""
    # While Python looks for the module of ``-m``, that is all that stands in its place.
    if sys.argv[:1] == ["-m"]:
        return any(argument.startswith("graphcolumns.") for argument in sys.orig_argv)
    return bool(sys.argv) and PurePath(sys.argv[0]).stem == "graphcolumns"


# A command loads names at their first use: `--help` does not wait for torch, and what OpenMP reads
# when torch is loaded can be set before. All others get them at once: importing the package
# also registers its ops and values with torch, and `torch.load` then reads a ColumnGraph.
if TYPE_CHECKING or not _is_command():
    from graphcolumns.geometry import Geometry
    from graphcolumns.graph import ColumnGraph
    from graphcolumns.ops import Attention, column_attention, edge_linear, untied_linear

if TYPE_CHECKING:
    from graphcolumns.cli import load
    from graphcolumns.data import Dataset
    from graphcolumns.nn import ColumnConv
    from graphcolumns.plasticity import Plasticity, Rule
    from graphcolumns.training import TrainOptions, train

__version__ = "0.1.0.dev0"

__all__ = [
    "Attention",
    "ColumnConv",
    "ColumnGraph",
    "Dataset",
    "Geometry",
    "Plasticity",
    "Rule",
    "TrainOptions",
    "column_attention",
    "edge_linear",
    "load",
    "train",
    "untied_linear",
]

_MODULES = {
    "ColumnConv": "graphcolumns.nn",
    "ColumnGraph": "graphcolumns.graph",
    "Dataset": "graphcolumns.data",
    "Geometry": "graphcolumns.geometry",
    "Plasticity": "graphcolumns.plasticity",
    "Rule": "graphcolumns.plasticity",
    "TrainOptions": "graphcolumns.training",
    "load": "graphcolumns.cli",
    "train": "graphcolumns.training",
}

# Where a name is looked for that is not at the top.
_ROOMS = ("models", "nn", "plasticity", "data", "training", "ops", "graph")


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "graphcolumns.ops")), name)
    if not name.startswith("_") and find_spec(f"graphcolumns.{name}") is not None:
        return import_module(f"graphcolumns.{name}")
    if room := "" if name.startswith("_") else _room_of(name):
        # An AttributeError would be hidden by `from graphcolumns import ...`.
        raise ImportError(
            f"graphcolumns has what one imports first. Got {name!r}, which is in {room}; write "
            f"`from {room} import {name}`."
        )
    raise AttributeError(
        f"module 'graphcolumns' has no attribute {name!r}.", name=name, obj=sys.modules[__name__]
    )


def _room_of(name: str) -> str:
    """The package that has a public name, or nothing."""
    rooms = (f"graphcolumns.{room}" for room in _ROOMS)
    return next((room for room in rooms if name in import_module(room).__all__), "")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
