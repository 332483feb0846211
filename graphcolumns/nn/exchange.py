"""What an attention layer shows to a listener."""

from typing import NamedTuple

from torch import Tensor

from graphcolumns.graph import ColumnGraph


class Exchange(NamedTuple):
    """One exchange along edges, as a listener sees it (shapes as in column_attention)."""

    graph: ColumnGraph
    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    scale: float | None
    out: Tensor
    lse: Tensor
