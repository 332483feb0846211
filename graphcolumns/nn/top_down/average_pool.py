"""Average pooling with a pass in each direction."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F
from torch.nn.grad import conv2d_input

from graphcolumns.nn.top_down.layer import TopDownLayer
from graphcolumns.nn.top_down.sliding_windows import Pair, SlidingWindows, pair


class TopDownAveragePool(TopDownLayer):
    r"""The mean over windows; its top-down pass shares every value out among its window.

    .. math::
        z_y = \frac1K \sum_{k} h_{s y + k}, \qquad
        \bar z_x = \frac1K \sum_{y, k : s y + k = x} \bar h_y

    Both passes are linear and exact; nothing learns. Padding counts as zeros.

    Args:
        kernel_size: Height and width of the windows.
        stride: Step between windows (default: ``kernel_size``).
        padding: Zeros on each side.

    Shapes:
        - source: ``[B, C, Y, X]``
        - target: ``[B, C, Y', X']``

    Raises:
        ValueError: Sizes out of range, padding of more than half of a window; when called, images
            of another shape or smaller than a window.
        TypeError: Sizes that are no whole numbers.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import TopDownAveragePool
        >>> layer = TopDownAveragePool(2)
        >>> layer.top_down(torch.ones(1, 1, 1, 1), (1, 1, 2, 2)).flatten().tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__()
        kernel = pair("kernel_size", kernel_size, 1)
        step = kernel if stride is None else pair("stride", stride, 1)
        self.windows = SlidingWindows(kernel, step, pair("padding", padding, 0))
        if any(2 * p > k for p, k in zip(self.windows.padding, kernel, strict=True)):
            raise ValueError(
                f"padding must be at most half of the window. Expected {kernel[0] // 2} and "
                f"{kernel[1] // 2} or less. Got {padding!r}."
            )

    def forward(self, x: Tensor) -> Tensor:
        """The means."""
        self.windows.check_image(x, x.shape[1] if x.dim() == 4 else 1)
        kernel, stride, padding, _ = self.windows
        return F.avg_pool2d(x, kernel, stride, padding)

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The transposed pass."""
        kernel, stride, padding, _ = self.windows
        channels = shape[1]
        self.windows.check_counter(counter, channels, shape)
        weight = counter.new_full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1]))
        return conv2d_input(tuple(shape), weight, counter, stride, padding, 1, channels)

    def extra_repr(self) -> str:
        """The sizes."""
        kernel, stride, padding, _ = self.windows
        return f"kernel_size={kernel}, stride={stride}, padding={padding}"
