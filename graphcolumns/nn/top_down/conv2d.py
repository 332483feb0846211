"""A convolution with a pass in each direction."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.top_down.sliding_windows import Pair, SlidingWindows, pair
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer


class TopDownConv2d(WeightedTopDownLayer):
    r"""A convolution whose top-down pass is the transposed convolution.

    .. math::
        z = W * h + b, \qquad \bar z = \hat W *^\top \bar h, \qquad
        \Delta W_{o c k} = \sum_{b, y} \bar h_{b o y} \, h_{b c, s y + k}

    The top-down pass goes back to exactly the shape of the source, also where a stride leaves
    pixels at the border that no window sees: their counter neurons are 0. With ``groups`` equal to
    ``in_channels`` the convolution is depth-wise. See :class:`WeightedTopDownLayer`.

    Args:
        in_channels: Channels of the source.
        out_channels: Channels of the target.
        kernel_size: Height and width of the kernels.
        stride: Step between windows.
        padding: Zeros on each side.
        dilation: Distance between pixels of a window.
        groups: Number of blocks of channels that are not connected with each other.
        bias: Whether channels have a bias.
        feedback: Weights of the top-down pass.
        feedback_noise: Noise on copied weights.

    Attributes:
        weight: ``[out_channels, in_channels / groups, *kernel_size]``.
        bias: ``[out_channels]``, or None.

    Shapes:
        - source: ``[B, in_channels, Y, X]``
        - target: ``[B, out_channels, Y', X']``

    Raises:
        ValueError: Sizes out of range, groups that do not divide both numbers of channels; when
            called, images of another shape or smaller than the kernel.
        TypeError: Sizes that are no whole numbers.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import TopDownConv2d
        >>> layer = TopDownConv2d(3, 8, kernel_size=3, stride=2)
        >>> x = torch.ones(2, 3, 8, 8)
        >>> layer(x).shape, layer.top_down(layer(x), x.shape).shape
        (torch.Size([2, 8, 3, 3]), torch.Size([2, 3, 8, 8]))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        feedback: Feedback = "tied",
        feedback_noise: float = 0.0,
    ) -> None:
        super().__init__(feedback, feedback_noise)
        check_counts(in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups must divide in_channels and out_channels. Expected a divisor of "
                f"{in_channels} and {out_channels}. Got {groups}."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.windows = SlidingWindows(
            pair("kernel_size", kernel_size, 1),
            pair("stride", stride, 1),
            pair("padding", padding, 0),
            pair("dilation", dilation, 1),
        )
        shape = (out_channels, in_channels // groups, *self.windows.kernel)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.add_feedback()

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution."""
        self.windows.check_image(x, self.in_channels)
        return F.conv2d(x, weight, **self._options())

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The transposed convolution, to ``shape``."""
        self.windows.check_counter(counter, self.out_channels, shape)
        return conv2d_input(tuple(shape), weight, counter, **self._options())

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """The shape of ``weight``."""
        return conv2d_weight(x, self.weight.shape, counter, **self._options())

    def per_unit(self, values: Tensor) -> Tensor:
        """``[C]`` to ``[C, 1, 1]``."""
        return values[:, None, None]

    def draw(self, weight: nn.Parameter) -> None:
        """Uniform in plus or minus the square root of 6 / (inputs of a unit), for ReLU."""
        nn.init.kaiming_uniform_(weight, nonlinearity="relu")

    def extra_repr(self) -> str:
        """The sizes."""
        kernel, stride, padding, dilation = self.windows
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={kernel}, stride={stride}, "
            f"padding={padding}, dilation={dilation}, groups={self.groups}, "
            f"feedback={self.feedback!r}"
        )

    def _options(self) -> dict[str, Any]:
        _, stride, padding, dilation = self.windows
        return {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": self.groups,
        }
