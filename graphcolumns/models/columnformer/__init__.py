"""The columnformer: a transformer rebuilt as a recurrent sheet of columns."""

from graphcolumns.models.columnformer.model import Columnformer, ColumnformerOutput
from graphcolumns.models.columnformer.sheet import sheet
from graphcolumns.models.columnformer.staged import staged
from graphcolumns.models.columnformer.stages import StagedColumnformer

__all__ = ["Columnformer", "ColumnformerOutput", "StagedColumnformer", "sheet", "staged"]
