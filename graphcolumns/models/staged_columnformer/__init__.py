"""Sheets of different size, each pooled from the one below: the stages of TopoMoE."""

from graphcolumns.models.staged_columnformer.build import staged
from graphcolumns.models.staged_columnformer.model import StagedColumnformer

__all__ = ["StagedColumnformer", "staged"]
