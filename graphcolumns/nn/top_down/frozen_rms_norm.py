"""Normalisation of every sample, its scale frozen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.nn.top_down.population import Population
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer, summed_to


class FrozenRMSNorm(WeightedTopDownLayer):
    r"""Normalisation of a sample over its channels, with a scale that counts as constant.

    .. math::
        z = w \odot s \, P h + b, \qquad \bar z = P (\hat w \odot s \, \bar h), \qquad
        s = \Bigl(\tfrac1C \lVert P h \rVert^2 + \epsilon\Bigr)^{-1/2}

    with :math:`P = 1`, root mean square normalisation, or, where ``centred``,
    :math:`P = 1 - \tfrac1C 1 1^\top`, layer normalisation. The scale :math:`s` comes from the
    bottom-up neurons and is frozen: no gradient passes through it, in either rule, so
    Counter-Hebbian learning is exactly backpropagation through this layer; the gradient is not that
    of a normalisation whose scale is differentiated as well. In a pass that no bottom-up pass has
    preceded the scale is 1.

    Args:
        shape: Shape of the population without the batch: ``(F,)``, ``(C, Y, X)`` or, for columns,
            ``(N, C)``. Every pixel and every column is normalised over its channels.
        columns: Whether the population is one of columns.
        centred: Whether the mean over channels is subtracted.
        eps: Number added to the mean of squares.
        bias: Whether there is a bias.
        feedback: Weights of the top-down pass; all weights start at 1.

    Attributes:
        weight: Scale, ``[F]``, ``[C, 1, 1]`` or ``[N, 1, C]``.
        bias: Shift, in the shape of ``weight``, or None.

    Shapes:
        - source and target: ``[B, F]``, ``[B, C, Y, X]``, or ``[N, B, C]`` for columns

    Raises:
        ValueError: A shape that is none of a population; when called, values of another shape.

    Source: Zhang & Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019,
    https://arxiv.org/abs/1910.07467; Ba, Kiros & Hinton, Layer normalization, 2016,
    https://arxiv.org/abs/1607.06450.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import FrozenRMSNorm
        >>> norm = FrozenRMSNorm((5, 8), columns=True)
        >>> x = torch.randn(5, 3, 8)
        >>> bool((norm(x).square().mean(2) - 1).abs().max() < 1e-2)
        True
    """

    no_weight_decay = ("weight", "bias", "top_down_weight")

    def __init__(
        self,
        shape: tuple[int, ...] | int,
        columns: bool = False,
        centred: bool = False,
        eps: float = 1e-5,
        bias: bool = True,
        feedback: Feedback = "tied",
    ) -> None:
        super().__init__(feedback)
        if not eps > 0:
            raise ValueError(f"eps must be above 0. Got {eps!r}.")
        self.population = Population(shape, "identity", columns)
        self.centred, self.eps = centred, eps
        self.channels = 2 if columns else 1
        per_channel = self.population.bias_shape()
        self.weight = nn.Parameter(torch.empty(per_channel))
        self.bias = nn.Parameter(torch.empty(per_channel)) if bias else None
        self.add_feedback()

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """The normalised values times ``weight``."""
        self.population.check("the source", x)
        return self._centre(x) * self._scale(x) * weight

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The transposed map with the scale 1."""
        self.population.check("the target", counter)
        return self._centre(counter * weight)

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass, with the scale of the bottom-up pass where there was one."""
        scaled = counter if x is None else counter * self._scale(x)
        return self.adjoint(scaled, self.feedback_weight, shape)

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """The shape of ``weight``."""
        return summed_to(self._centre(x) * self._scale(x) * counter, self.weight)

    def per_unit(self, values: Tensor) -> Tensor:
        """As they are."""
        return values

    def draw(self, weight: nn.Parameter) -> None:
        """All 1."""
        nn.init.ones_(weight)

    def _centre(self, x: Tensor) -> Tensor:
        return x - x.mean(self.channels, keepdim=True) if self.centred else x

    @torch.no_grad()
    def _scale(self, x: Tensor) -> Tensor:
        squares = self._centre(x).square().mean(self.channels, keepdim=True)
        return (squares + self.eps).rsqrt()

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.population.sizes}, centred={self.centred}, feedback={self.feedback!r}"
