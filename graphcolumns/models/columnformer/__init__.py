"""The columnformer: a transformer rebuilt as a recurrent sheet of columns."""

from graphcolumns.models.columnformer.model import Columnformer
from graphcolumns.models.columnformer.sheet import sheet

__all__ = ["Columnformer", "sheet"]
