"""A connection that changes shapes alone."""

from __future__ import annotations

from torch import Tensor

from graphcolumns.nn.top_down.layer import TopDownLayer
from graphcolumns.nn.top_down.population import Population


class Reshape(TopDownLayer):
    """The same values in another shape: an image as columns, channels of columns as units.

    The values of a sample keep their order. The top-down pass takes them back.

    Args:
        source: Population below.
        target: Population above, with as many values per sample.

    Raises:
        ValueError: The populations have different numbers of values.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import Population, Reshape
        >>> layer = Reshape(Population((3, 4, 4)), Population((48, 1), columns=True))
        >>> layer(torch.ones(2, 3, 4, 4)).shape
        torch.Size([48, 2, 1])
    """

    def __init__(self, source: Population, target: Population) -> None:
        super().__init__()
        sizes = [_size(source), _size(target)]
        if sizes[0] != sizes[1]:
            raise ValueError(
                "both populations must have as many values per sample. Got "
                f"{sizes[0]} of {source.sizes} and {sizes[1]} of {target.sizes}."
            )
        self.source, self.target = source, target

    def forward(self, x: Tensor) -> Tensor:
        """In the shape of the target."""
        return _reshaped(x, self.source, self.target)

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """In the shape of the source."""
        return _reshaped(counter, self.target, self.source)

    def extra_repr(self) -> str:
        """Both shapes."""
        return f"{self.source.sizes}, {self.target.sizes}"


def _reshaped(values: Tensor, old: Population, new: Population) -> Tensor:
    samples = values.movedim(old.batch_dim, 0)
    return samples.reshape(len(samples), *new.sizes).movedim(0, new.batch_dim)


def _size(population: Population) -> int:
    size = 1
    for part in population.sizes:
        size *= part
    return size
