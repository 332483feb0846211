"""Transformer-like models of the brain as sparse graphs of columns."""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

# Names are loaded at their first use: `graphcolumns --help` does not wait for torch, and the
# command line can set what OpenMP reads only when torch is loaded. Where torch is loaded there is
# nothing to wait for, and importing the package registers its ops and values with torch.
if TYPE_CHECKING or "torch" in sys.modules:
    from graphcolumns.geometry import Geometry
    from graphcolumns.graph import ColumnGraph
    from graphcolumns.ops import Attention, column_attention, edge_linear, untied_linear

__version__ = "0.1.0.dev0"

__all__ = [
    "Attention",
    "ColumnGraph",
    "Geometry",
    "column_attention",
    "edge_linear",
    "untied_linear",
]

_MODULES = {"ColumnGraph": "graphcolumns.graph", "Geometry": "graphcolumns.geometry"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "graphcolumns.ops")), name)
    if not name.startswith("_") and find_spec(f"graphcolumns.{name}") is not None:
        return import_module(f"graphcolumns.{name}")
    raise AttributeError(f"module 'graphcolumns' has no attribute {name!r}.")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
