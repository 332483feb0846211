"""Layers that learn from their inputs alone, one after the other, without any error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive
from graphcolumns.nn.dynamics.hebbian.soft_hebb import soft_hebb_step


class SoftHebbLayer(nn.Module):
    r"""Units that share their inputs by soft competition, dense or at every place of an image.

    .. math::
        u = W \hat x, \qquad \hat x = \frac{x - \mu}{\lVert x - \mu \rVert}, \qquad
        y_k = \max(u_k - \bar u, 0)

    with the mean input :math:`\mu` of :meth:`centre`, and the mean :math:`\bar u` over units.
    Without it one unit wins what all inputs have in common. :meth:`learn` makes one step of
    :func:`~graphcolumns.nn.dynamics.soft_hebb_step` and brings the weights back to norm 1, which
    the rule of winners keeps by itself and that of losers does not.

    Args:
        in_channels: Inputs ``m``, or channels of the image.
        units: Units ``n``.
        kernel: Side of the receptive field of a convolution, in pixels; None for a dense layer.
        stride: Distance between receptive fields, in pixels.
        padding: Width of the zeros around the image, in pixels.
        beta: Inverse temperature of the competition.
        anti_hebbian: Whether units that do not win move away from a sample.

    Shapes:
        - input: ``[B, m]``; with a kernel ``[B, in_channels, Y, X]``
        - output: ``[B, n]``; with a kernel ``[B, n, Y', X']``

    Raises:
        ValueError: A size below 1, a beta that is not positive, negative padding; when called,
            inputs of another shape.

    Source: Journé, Garcia Rodriguez, Guo & Moraitis, Hebbian deep learning without feedback, ICLR
    2023, https://arxiv.org/abs/2209.11883.
    """

    mean: Tensor

    def __init__(
        self,
        in_channels: int,
        units: int,
        kernel: int | None = None,
        *,
        stride: int = 1,
        padding: int = 0,
        beta: float = 10.0,
        anti_hebbian: bool = True,
    ) -> None:
        super().__init__()
        side = 1 if kernel is None else kernel
        check_counts(in_channels=in_channels, units=units, kernel=side, stride=stride)
        require_positive(beta=beta)
        if padding < 0:
            raise ValueError(f"padding must be 0 or more. Got {padding}.")
        self.in_channels, self.units, self.kernel = in_channels, units, kernel
        self.stride, self.padding, self.beta = stride, padding, beta
        self.anti_hebbian = anti_hebbian
        self.weight = nn.Parameter(torch.empty(units, in_channels * side**2))
        self.register_buffer("mean", torch.zeros(in_channels * side**2))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights of norm 1; the mean input is 0."""
        self.weight.copy_(F.normalize(torch.randn_like(self.weight)))
        self.mean.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Activities of the units."""
        rows, places = self._normalised(x)
        overlaps = rows @ self.weight.T
        active = torch.relu(overlaps - overlaps.mean(1, keepdim=True))
        if places is None:
            return active
        return active.unflatten(0, (len(x), *places)).permute(0, 3, 1, 2)

    @torch.no_grad()
    def centre(self, x: Tensor) -> None:
        """Takes the mean over samples (and places) for that of the inputs.

        Args:
            x: Inputs, as for a call.
        """
        self.mean.copy_(self._rows(x)[0].mean(0))

    @torch.no_grad()
    def learn(self, x: Tensor, rate: float) -> None:
        """Makes one step on a batch.

        Args:
            x: Inputs, as for a call.
            rate: Learning rate.

        Raises:
            ValueError: Inputs of another shape, no sample, NaN, or a rate that is not positive.
        """
        rows, _ = self._normalised(x)
        weight = soft_hebb_step(self.weight, rows, rate, self.beta, self.anti_hebbian)
        self.weight.copy_(F.normalize(weight))

    def _rows(self, x: Tensor) -> tuple[Tensor, tuple[int, int] | None]:
        """Inputs of a unit, ``[R, m]``; rows and columns of places, if there are any."""
        dims = 2 if self.kernel is None else 4
        if x.dim() != dims or x.shape[1] != self.in_channels:
            shape = "[B, {}]" if dims == 2 else "[B, {}, Y, X]"
            raise ValueError(
                f"x must have the shape of the layer. Expected {shape.format(self.in_channels)}. "
                f"Got {list(x.shape)}."
            )
        places = None
        if self.kernel is not None:
            y, z = ((s + 2 * self.padding - self.kernel) // self.stride + 1 for s in x.shape[2:])
            fields = F.unfold(x, self.kernel, padding=self.padding, stride=self.stride)
            x, places = fields.transpose(1, 2).flatten(0, 1), (y, z)
        return x, places

    def _normalised(self, x: Tensor) -> tuple[Tensor, tuple[int, int] | None]:
        rows, places = self._rows(x)
        return F.normalize(rows - self.mean), places

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_channels={self.in_channels}, units={self.units}, kernel={self.kernel}"


class SoftHebb(nn.Module):
    """Layers of SoftHebb, trained one after the other without labels.

    Between convolutions the activities are pooled, and every layer centres and normalises its
    inputs. The features are the activities of the last layer, for a linear readout.

    Args:
        layers: The layers, from the input on; dense layers after convolutions get flat inputs.
        pool: Side of the average pooling after every convolution, in pixels; 1 for none.

    Shapes:
        - input: as the first layer
        - output: features ``[B, F]``

    Raises:
        ValueError: No layer, or pooling below 1.
        TypeError: A layer that is not a :class:`SoftHebbLayer`.

    Example:
        >>> import torch
        >>> from graphcolumns.models.neurodynamics import SoftHebb, SoftHebbLayer
        >>> model = SoftHebb([SoftHebbLayer(1, 8, kernel=3), SoftHebbLayer(72, 5)], pool=2)
        >>> model.fit(torch.rand(20, 1, 8, 8), epochs=1)(torch.rand(2, 1, 8, 8)).shape
        torch.Size([2, 5])
    """

    def __init__(self, layers: Sequence[SoftHebbLayer], pool: int = 1) -> None:
        super().__init__()
        check_counts(pool=pool)
        for layer in layers:
            if not isinstance(layer, SoftHebbLayer):
                raise TypeError(f"layers must be SoftHebbLayers. Got {type(layer).__name__}.")
        if not layers:
            raise ValueError("layers must have one layer or more. Got none.")
        self.layers, self.pool = nn.ModuleList(layers), pool

    def forward(self, x: Tensor) -> Tensor:
        """Features of a batch, ``[B, F]``."""
        for layer in self.layers:
            x = self._through(layer, x)
        return x.flatten(1)

    @torch.no_grad()
    def fit(
        self, inputs: Tensor, *, epochs: int = 5, batch: int = 32, rate: float = 0.1, seed: int = 0
    ) -> SoftHebb:
        """Trains every layer on the activities of the one below, in a single pass upwards.

        Args:
            inputs: Training inputs, as for a call.
            epochs: Number of times that a layer sees all inputs.
            batch: Samples per step.
            rate: First learning rate; it falls linearly to 0.
            seed: Seed of the order of the samples.

        Returns:
            The model itself.

        Raises:
            ValueError: No sample, NaN, a number below 1, or a rate that is not positive.
        """
        check_counts(epochs=epochs, batch=batch)
        require_positive(rate=rate)
        require_finite("inputs", inputs)
        if not len(inputs):
            raise ValueError("inputs must have one sample or more. Got none.")
        generator, x = torch.Generator().manual_seed(seed), inputs
        layer: Any
        for layer in self.layers:
            ready = self._as_input(layer, x)
            layer.centre(ready)
            order = [torch.randperm(len(x), generator=generator) for _ in range(epochs)]
            steps = [ids for epoch in order for ids in epoch.split(batch)]
            for done, ids in enumerate(steps):
                layer.learn(ready[ids.to(x.device)], rate * (1 - done / len(steps)))
            x = self._through(layer, x)
        return self

    def _as_input(self, layer: Any, x: Tensor) -> Tensor:
        return x.flatten(1) if layer.kernel is None else x

    def _through(self, layer: Any, x: Tensor) -> Tensor:
        y: Tensor = layer(self._as_input(layer, x))
        pooled = layer.kernel is not None and self.pool > 1
        return F.avg_pool2d(y, self.pool) if pooled else y
