"""A linear map of its own for every column, with a pass in each direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.top_down.check_fits import check_fits
from graphcolumns.nn.top_down.open_columns import OpenColumns
from graphcolumns.nn.top_down.open_untied import OpenUntied
from graphcolumns.nn.top_down.part import LayerPart
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer
from graphcolumns.ops import untied_linear


class TopDownUntied(WeightedTopDownLayer):
    r"""A linear map per column, used in both directions.

    .. math::
        z_n = h_n W_n + b_n, \qquad \bar z_n = \bar h_n \hat W_n^\top, \qquad
        \Delta W_n = \sum_b h_n^\top \bar h_n

    Columns do not exchange values here: put it before or behind a layer on edges. All columns are
    computed by one batched product. See :class:`WeightedTopDownLayer`.

    Args:
        num_columns: Number of columns ``N``.
        in_channels: Channels of every column of the source.
        out_channels: Channels of every column of the target.
        bias: Whether channels have a bias.
        feedback: Weights of the top-down pass.
        feedback_noise: Noise on copied weights.

    Attributes:
        weight: ``[N, Cin, Cout]``.
        bias: ``[N, Cout]``, or None.

    Shapes:
        - source: ``[N, B, Cin]``
        - target: ``[N, B, Cout]``

    Raises:
        ValueError: A size below one; when called, values of another shape.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import TopDownUntied
        >>> layer = TopDownUntied(num_columns=5, in_channels=3, out_channels=4)
        >>> x, counter = torch.ones(5, 2, 3), torch.ones(5, 2, 4)
        >>> layer(x).shape, layer.top_down(counter, x.shape).shape
        (torch.Size([5, 2, 4]), torch.Size([5, 2, 3]))
    """

    column_tensors = ("weight", "bias", "top_down_weight", "top_down_magnitude")

    def __init__(
        self,
        num_columns: int,
        in_channels: int,
        out_channels: int,
        bias: bool = True,
        feedback: Feedback = "tied",
        feedback_noise: float = 0.0,
    ) -> None:
        super().__init__(feedback, feedback_noise)
        check_counts(num_columns=num_columns, in_channels=in_channels, out_channels=out_channels)
        self.weight = nn.Parameter(torch.empty(num_columns, in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(num_columns, out_channels)) if bias else None
        self.add_feedback()

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """``[N, B, Cin]`` to ``[N, B, Cout]``."""
        check_fits("the source", x, "N, B, Cin", (len(weight), None, weight.shape[1]))
        return untied_linear(x, weight)

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """``[N, B, Cout]`` to ``[N, B, Cin]``."""
        check_fits("the target", counter, "N, B, Cout", (len(weight), None, weight.shape[2]))
        return counter @ weight.mT

    def between(self, sources: OpenColumns | None, targets: OpenColumns | None) -> LayerPart:
        """The columns that are open at both ends."""
        mine = type(self) is TopDownUntied and (sources, targets) != (None, None)
        return OpenUntied(self, sources, targets) if mine else super().between(sources, targets)

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """``[N, Cin, Cout]``."""
        return x.mT @ counter

    def per_unit(self, values: Tensor) -> Tensor:
        """``[N, Cout]`` to ``[N, 1, Cout]``."""
        return values[:, None]

    @torch.no_grad()
    def draw(self, weight: nn.Parameter) -> None:
        """Uniform in plus or minus the square root of 6 / Cin, for ReLU."""
        bound = (6 / weight.shape[1]) ** 0.5
        weight.uniform_(-bound, bound)

    def extra_repr(self) -> str:
        """The sizes."""
        columns, below, above = self.weight.shape
        return f"{columns} columns, {below}, {above}, feedback={self.feedback!r}"
