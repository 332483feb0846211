"""A dense layer with a pass in each direction."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.top_down.check_fits import check_fits
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer


class TopDownLinear(WeightedTopDownLayer):
    r"""A dense layer, :math:`z = W h + b`, whose top-down pass is :math:`\hat W^\top \bar h`.

    Inputs of more than one dimension, such as images, are flattened; the top-down pass gives them
    their shape again. See :class:`WeightedTopDownLayer`.

    Args:
        in_features: Values of the source.
        out_features: Values of the target.
        bias: Whether units have a bias.
        feedback: Weights of the top-down pass.
        feedback_noise: Noise on copied weights.

    Shapes:
        - source: ``[B, ...]``, ``in_features`` values per sample
        - target: ``[B, out_features]``

    Raises:
        ValueError: A size below one; when called, another number of values per sample.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import TopDownLinear
        >>> layer = TopDownLinear(4, 3)
        >>> x, counter = torch.ones(2, 4), torch.ones(2, 3)
        >>> layer(x).shape, layer.top_down(counter, x.shape).shape
        (torch.Size([2, 3]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        feedback: Feedback = "tied",
        feedback_noise: float = 0.0,
    ) -> None:
        super().__init__(feedback, feedback_noise)
        check_counts(in_features=in_features, out_features=out_features)
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None
        self.add_feedback()

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """``[B, in_features]`` to ``[B, out_features]``."""
        flat = x.flatten(1)
        if flat.shape[1] != weight.shape[1]:
            raise ValueError(
                f"a dense layer must get in_features values per sample, [B, ...]. Expected "
                f"{weight.shape[1]}. Got {list(x.shape)}; columns come samples second, put a "
                "Reshape before the layer."
            )
        return F.linear(flat, weight)

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """``[B, out_features]`` to ``shape``."""
        check_fits("the target", counter, "B, F", (None, len(weight)))
        return (counter @ weight).reshape(shape)

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """``[out_features, in_features]``."""
        return counter.T @ x.flatten(1)

    def per_unit(self, values: Tensor) -> Tensor:
        """As they are."""
        return values

    def draw(self, weight: nn.Parameter) -> None:
        """Uniform in plus or minus the square root of 6 / in_features, for ReLU."""
        nn.init.kaiming_uniform_(weight, nonlinearity="relu")

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, feedback={self.feedback!r}"
