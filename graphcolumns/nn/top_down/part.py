"""A layer restricted to the columns that a task leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor, nn

from graphcolumns.nn.top_down.open_columns import OpenColumns, all_rows, open_rows, shared_places

if TYPE_CHECKING:
    from graphcolumns.nn.top_down.layer import TopDownLayer


class PartGradient(NamedTuple):
    """A Counter-Hebbian gradient of some rows of a parameter; that of the others is 0.

    Attributes:
        parameter: Parameter that learns.
        gradient: Gradient of the rows.
        rows: Ids of the rows, ``[R]`` int64, or None: all.
    """

    parameter: nn.Parameter
    gradient: Tensor
    rows: Tensor | None = None


class LayerPart(Protocol):
    """The passes of a layer between open columns; it reads the parameters of the layer.

    Values are those of open columns: ``[M', B, C]`` of M' open sources, ``[N', B, C]`` of N' open
    targets. Results are equal to those of the layer on values that are 0 where a column is closed.
    """

    def __call__(self, x: Tensor) -> Tensor:
        """The bottom-up pass to open targets."""

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass to open sources; ``shape`` is that of all sources."""

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[PartGradient]:
        """The gradients of parameters that learn."""


class WholeLayer:
    """A layer that is run whole: closed columns are filled with zeros, and left out of results.

    Args:
        layer: Layer of any kind.
        sources: Open columns of the source, or None: all.
        targets: Open columns of the target, or None: all.
    """

    def __init__(
        self, layer: TopDownLayer, sources: OpenColumns | None, targets: OpenColumns | None
    ) -> None:
        self.layer, self.sources, self.targets = layer, sources, targets

    def __call__(self, x: Tensor) -> Tensor:
        """The bottom-up pass."""
        return open_rows(self.layer(all_rows(x, self.sources)), self.targets)

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass."""
        below = None if x is None else all_rows(x, self.sources)
        counter = self.layer.top_down(all_rows(counter, self.targets), shape, below)
        return open_rows(counter, self.sources)

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[PartGradient]:
        """The gradients of the layer."""
        x, counter = all_rows(x, self.sources), all_rows(counter, self.targets)
        for parameter, gradient in self.layer.counter_hebb(x, counter):
            yield PartGradient(parameter, gradient)


class CopiedColumns:
    """A connection that copies, between populations whose open columns differ.

    Args:
        sources: Open columns of the source, or None: all.
        targets: Open columns of the target, or None: all.
    """

    def __init__(self, sources: OpenColumns | None, targets: OpenColumns | None) -> None:
        self.below, self.above = shared_places(sources, targets)
        known = sources or targets
        assert known is not None
        self.sizes = [len(known.mask) if s is None else len(s.ids) for s in (sources, targets)]

    def __call__(self, x: Tensor) -> Tensor:
        """The values of columns open in both, zeros elsewhere."""
        out = x.new_zeros(self.sizes[1], *x.shape[1:])
        return out.index_copy(0, self.above, x.index_select(0, self.below))

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The same, the other way."""
        out = counter.new_zeros(self.sizes[0], *counter.shape[1:])
        return out.index_copy(0, self.below, counter.index_select(0, self.above))

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[PartGradient]:
        """Nothing learns."""
        return iter(())
