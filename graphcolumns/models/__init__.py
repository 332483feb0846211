"""Models: each takes its graph as an argument, none imports another."""

from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.models.staged_columnformer import StagedColumnformer, staged

__all__ = ["Columnformer", "StagedColumnformer", "sheet", "staged"]
