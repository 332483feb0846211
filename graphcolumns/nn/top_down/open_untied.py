"""The maps of open columns, of a layer with a map for every column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from graphcolumns.nn.top_down.open_columns import OpenColumns, open_rows, shared_places
from graphcolumns.nn.top_down.part import PartGradient

if TYPE_CHECKING:
    from graphcolumns.nn.top_down.untied import TopDownUntied


class OpenUntied:
    """A layer with a map per column, between open columns: other maps are not read.

    Args:
        layer: Layer with a map per column.
        sources: Open columns of the source, or None: all.
        targets: Open columns of the target, or None: all.
    """

    def __init__(
        self, layer: TopDownUntied, sources: OpenColumns | None, targets: OpenColumns | None
    ) -> None:
        self.layer, self.targets = layer, targets
        self.below, self.above = shared_places(sources, targets)
        columns = len(layer.weight)
        self.num_sources = columns if sources is None else len(sources.ids)
        self.num_targets = columns if targets is None else len(targets.ids)
        # Columns open at both ends; a map to or from a closed column adds nothing.
        self.ids = self.above if targets is None else targets.ids[self.above]

    def __call__(self, x: Tensor) -> Tensor:
        """The maps of open columns; where only the target is open, its bias."""
        layer = self.layer
        z = layer.linear(x.index_select(0, self.below), layer.weight.index_select(0, self.ids))
        z = _placed(z, self.above, self.num_targets)
        bias = layer.bias
        return z if bias is None else z + layer.per_unit(open_rows(bias, self.targets))

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The transposed maps of open columns."""
        weight = self.layer.feedback_weight.index_select(0, self.ids)
        y = self.layer.adjoint(counter.index_select(0, self.above), weight, shape)
        return _placed(y, self.below, self.num_sources)

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[PartGradient]:
        """The gradients of open columns' maps and biases."""
        layer = self.layer
        if layer.weight.requires_grad:
            ends = x.index_select(0, self.below), counter.index_select(0, self.above)
            yield PartGradient(layer.weight, layer.products(*ends), self.ids)
        if layer.bias is not None and layer.bias.requires_grad:
            rows = None if self.targets is None else self.targets.ids
            yield PartGradient(layer.bias, counter.sum(1), rows)


def _placed(values: Tensor, places: Tensor, count: int) -> Tensor:
    """Rows at some places, zeros elsewhere."""
    if len(places) == count:
        return values
    return values.new_zeros(count, *values.shape[1:]).index_copy_(0, places, values)
