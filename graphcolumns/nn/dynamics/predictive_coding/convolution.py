"""A convolutional connection."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from graphcolumns.nn.dynamics.predictive_coding.connection import Connection, check_shapes


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(Connection):
    """Images predict images by a 2-d convolution: see :class:`Connection` for the formula.

    With ``transposed``, the prediction is the transposed convolution, as a layer of sparse codes
    predicts an image below it, and errors return by the convolution.

    Args:
        weight: Kernels ``[C_out, C_in, k, k]``; with ``transposed``, ``[C_in, C_out, k, k]``, as
            torch has them.
        bias: One number per channel of the target, or None.
        stride: Stride of the convolution, in pixels.
        padding: Zeros around the image, in pixels.
        size: Height and width of the target, needed with ``transposed`` and a stride above 1.
        transposed: Whether the prediction is the transposed convolution.

    Shapes:
        - source: ``[B, C_in, H, W]``
        - target: ``[B, C_out, H', W']``
    """

    weight: Tensor
    bias: Tensor | None = None
    stride: int = 1
    padding: int = 0
    size: tuple[int, int] | None = None
    transposed: bool = False

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Kernels and bias."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def check(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Raises ValueError for layers that are no images of the right size."""
        for what, shape in (("source", source), ("target", target)):
            if len(shape) != 3:
                raise ValueError(
                    f"the {what} of Convolution({self.source!r}, {self.target!r}) must be an image "
                    f"(C, H, W). Got {shape}."
                )
        image = self.weight.new_empty((1, *source), device="meta")
        meta = tuple(t.to("meta") for t in self.tensors)
        check_shapes(self, "source", (self.weight.shape[0 if self.transposed else 1],), source[:1])
        predicted = self.linear(image, meta)
        check_shapes(self, "target", tuple(predicted.shape[1:]), target)

    def linear(self, x: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """The convolution, or its transpose."""
        weight, bias = tensors[0], tensors[1] if len(tensors) > 1 else None
        if not self.transposed:
            return conv2d(x, weight, bias, self.stride, self.padding)
        return self._transpose(x, weight, bias, self.size)

    def _transpose(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, size: tuple[int, ...] | None
    ) -> Tensor:
        extra = [0, 0]
        if size is not None:
            extra = [
                self._extra(n, x.shape[i - 2], weight.shape[i - 2]) for i, n in enumerate(size)
            ]
        return conv_transpose2d(x, weight, bias, self.stride, self.padding, extra)

    def _extra(self, wanted: int, given: int, kernel: int) -> int:
        """Rows that a stride leaves undetermined."""
        return wanted - ((given - 1) * self.stride - 2 * self.padding + kernel)

    def adjoint(self, delta: Tensor, tensors: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
        """The transposed convolution, or the convolution that it is the transpose of."""
        if self.transposed:
            return conv2d(delta, tensors[0], None, self.stride, self.padding)
        return self._transpose(delta, tensors[0], None, shape[-2:])
