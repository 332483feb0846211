"""What a layer with a pass in each direction is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from graphcolumns.nn.top_down.open_columns import OpenColumns
from graphcolumns.nn.top_down.part import CopiedColumns, LayerPart, WholeLayer


class TopDownLayer(nn.Module, ABC):
    r"""A linear map between two populations with a pass in each direction along the same edges.

    .. math::
        z = W h + b \quad \text{(bottom-up)}, \qquad
        \bar z = \hat W^\top \bar h \quad \text{(top-down)}

    A layer of your own has two methods: :meth:`forward` and :meth:`top_down`. With them it takes
    part in all passes of a :class:`TopDownNetwork`, and learns: :meth:`counter_hebb` is computed
    from them. Layers with weights are :class:`WeightedTopDownLayer`.

    Attributes:
        whole_batch: Whether the bottom-up pass must see all samples at once, as statistics of a
            batch do; samples are then not divided by task.
    """

    whole_batch = False

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The bottom-up pass, affine in ``x``."""

    @abstractmethod
    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass: linear in ``counter``, without the bias of the bottom-up pass.

        Args:
            counter: Top-down neurons of the target.
            shape: Shape of the top-down neurons of the source.
            x: Bottom-up neurons of the source, where a bottom-up pass has been made, for layers
                whose map depends on them.
        """

    def between(self, sources: OpenColumns | None, targets: OpenColumns | None) -> LayerPart:
        """The layer between open columns, for passes through the sub-network of a task.

        This default runs the layer whole. A layer that can leave closed columns out defines it.

        Args:
            sources: Open columns of the source, or None: all.
            targets: Open columns of the target, or None: all.
        """
        return WholeLayer(self, sources, targets)

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """Every parameter that learns, with its Counter-Hebbian gradient.

        For parameters that the bottom-up pass is linear in, the gradient is the sum over the batch
        of products of the bottom-up neuron before and the top-down neuron behind the parameter.
        This default takes it from the layer's own bottom-up pass; no other layer is looked at.

        Args:
            x: Bottom-up neurons of the source.
            counter: Top-down neurons of the target, the counter neurons of the output.
        """
        learned = [p for p in self.parameters() if p.requires_grad]
        if learned:
            with torch.enable_grad():
                out = self(x.detach())
                yield from zip(
                    learned,
                    torch.autograd.grad(out, learned, counter, materialize_grads=True),
                    strict=True,
                )


class Identity(TopDownLayer):
    """A connection that copies: the way around the layers of a residual block."""

    def forward(self, x: Tensor) -> Tensor:
        """The same values."""
        return x

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The same values."""
        return counter

    def between(self, sources: OpenColumns | None, targets: OpenColumns | None) -> LayerPart:
        """A copy of the columns open in both."""
        if type(self) is not Identity:
            return super().between(sources, targets)
        # With the same open columns at both ends there is nothing to move.
        same = sources is targets
        return WholeLayer(self, None, None) if same else CopiedColumns(sources, targets)
