"""What an attention layer shows to a listener."""

from typing import NamedTuple

from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph


class AttentionRecord(NamedTuple):
    """One exchange along edges, as a listener sees it (shapes as in column_attention)."""

    graph: ColumnGraph
    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    scale: float | None
    out: Tensor
    lse: Tensor


def attention_layers(module: nn.Module) -> list[nn.Module]:
    """The layers of a module that can be listened to: those whose class has a ``listener``.

    A layer of your own takes part with a class attribute ``listener = None`` and, where it is
    not None, a call of it with every :class:`AttentionRecord`; the layer then goes on with the
    ``out`` of the record.
    """
    return [part for part in module.modules() if hasattr(type(part), "listener")]
