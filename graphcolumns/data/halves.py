"""What data sets in memory and data sets that are read when needed say of themselves alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from graphcolumns.data.spec import Spec, image_of

if TYPE_CHECKING:
    from graphcolumns.data.task import Task


class Halves:
    """Training samples and held-out samples of one spec and one task."""

    if TYPE_CHECKING:
        num_classes: int
        task: Task
        held_out: str
        truth: Tensor | None

        @property
        def spec(self) -> Spec:
            """Names, shapes, types and units of one sample."""

        def size(self, half: str) -> int:
            """The number of samples of a half."""

    def __repr__(self) -> str:
        shapes = {part.name: part.shape for part in self.spec.inputs}
        return (
            f"{type(self).__name__}(train={self.size('train')}, "
            f"{self.held_out}={self.size('test')}, "
            f"inputs={shapes if self.spec.is_mapping else self.spec.inputs[0].shape}, "
            f"num_classes={self.num_classes}, task={self.task!r})"
        )

    @property
    def channels(self) -> int:
        """Channels of the image of one sample."""
        return image_of(self.spec).shape[0]

    @property
    def image_size(self) -> tuple[int, int]:
        """Rows and columns of the image of one sample, in pixels."""
        rows, columns = image_of(self.spec).shape[1:]
        return rows, columns

    def truth_at(self, permutation: Tensor | None = None) -> Tensor:
        """The edges that the task requires, in the column order of a reordered geometry.

        Args:
            permutation: Permutation that ``geometry.reorder()`` returned: column n there is column
                ``permutation[n]`` of the user (default: the user's order).

        Returns:
            Targets and sources, ``[2, P]`` int64, sorted by (target, source) as edges are.

        Raises:
            ValueError: The data set has no truth.
        """
        if self.truth is None:
            raise ValueError(f"{self} has no true edges: data.planted() does.")
        place = None if permutation is None else permutation.to(self.truth.device).argsort()
        target, source = self.truth if place is None else place[self.truth]
        order = torch.argsort(target * (int(source.max()) + 1) + source)
        return torch.stack([target[order], source[order]])
