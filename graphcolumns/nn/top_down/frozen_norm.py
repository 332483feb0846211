"""Normalisation by statistics that are constants in both passes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from graphcolumns.nn.top_down.population import Population
from graphcolumns.nn.top_down.weighted import Feedback, WeightedTopDownLayer, summed_to


class FrozenNorm(WeightedTopDownLayer):
    r"""An affine map per channel with fixed statistics, exact in both passes.

    .. math::
        z = w \odot \frac{h - \mu}{\sqrt{\sigma^2 + \epsilon}} + b, \qquad
        \bar z = \hat w \odot \frac{\bar h}{\sqrt{\sigma^2 + \epsilon}}

    Statistics are running ones, :math:`\mu \leftarrow (1 - m) \mu + m \, \mathrm{E}[h]` and so for
    the variance. In training mode they move once per optimizer step, in :meth:`after_step`, to what
    all passes of the step have seen. So within a step they are the same constants in every pass,
    and Counter-Hebbian learning is exactly backpropagation, in training as in evaluation. What is
    normalised are values under the statistics of steps before.

    Args:
        shape: Shape of the population without the batch: ``(F,)``, ``(C, Y, X)`` or, for columns,
            ``(N, C)``. Images have statistics per channel, columns per column and channel.
        columns: Whether the population is one of columns.
        momentum: Share of new statistics in every step, 0 for none.
        eps: Number added to the variance.
        bias: Whether there is a bias.
        feedback: Weights of the top-down pass; all weights start at 1.

    Attributes:
        weight: Scale, ``[F]``, ``[C, 1, 1]`` or ``[N, 1, C]``.
        bias: Shift, in the shape of ``weight``, or None.
        mean: Running mean, in the shape of ``weight``.
        variance: Running variance, in the shape of ``weight``.

    Shapes:
        - source and target: ``[B, F]``, ``[B, C, Y, X]``, or ``[N, B, C]`` for columns

    Raises:
        ValueError: A shape that is none of a population, a momentum outside [0, 1]; when called,
            values of another shape.

    Source: Ioffe & Szegedy, Batch Normalization, ICML 2015, https://arxiv.org/abs/1502.03167.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import FrozenNorm
        >>> norm = FrozenNorm((3, 8, 8), momentum=1.0)
        >>> images = 5 + 2 * torch.randn(16, 3, 8, 8)
        >>> _ = norm(images)
        >>> norm.after_step()
        >>> bool(norm(images).mean().abs() < 1e-4)
        True
    """

    whole_batch = True

    mean: Tensor
    variance: Tensor

    no_weight_decay = ("weight", "bias", "top_down_weight")

    def __init__(
        self,
        shape: tuple[int, ...] | int,
        columns: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
        bias: bool = True,
        feedback: Feedback = "tied",
    ) -> None:
        super().__init__(feedback)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be from 0 to 1. Got {momentum!r}.")
        if not eps > 0:
            raise ValueError(f"eps must be above 0. Got {eps!r}.")
        self.population = Population(shape, "identity", columns)
        self.momentum, self.eps = momentum, eps
        per_channel = self.population.bias_shape()
        self.weight = nn.Parameter(torch.empty(per_channel))
        self.bias = nn.Parameter(torch.empty(per_channel)) if bias else None
        self.register_buffer("mean", torch.zeros(per_channel))
        self.register_buffer("variance", torch.ones(per_channel))
        # What passes have seen since the last step: samples, mean and variance.
        self._seen: tuple[int, Tensor, Tensor] | None = None
        self.add_feedback()

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """The normalised values times ``weight``."""
        self.population.check("the source", x)
        if self.training:
            self._see(x)
        return self._normalised(x) * weight

    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The same scale, without the mean."""
        self.population.check("the target", counter)
        return counter * (weight * self._scale(self.variance))

    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """The shape of ``weight``."""
        return summed_to(self._normalised(x) * counter, self.weight)

    def per_unit(self, values: Tensor) -> Tensor:
        """As they are."""
        return values

    def draw(self, weight: nn.Parameter) -> None:
        """All 1."""
        nn.init.ones_(weight)

    @torch.no_grad()
    def after_step(self) -> None:
        """Moves the running statistics towards what passes have seen since the last step."""
        if self._seen is not None:
            _, mean, variance = self._seen
            self.mean.lerp_(mean.to(self.mean), self.momentum)
            self.variance.lerp_(variance.to(self.variance), self.momentum)
            self._seen = None

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance that values are normalised with, constants."""
        return self.mean, self.variance

    def _normalised(self, x: Tensor) -> Tensor:
        mean, variance = self.statistics(x)
        return (x - mean) * self._scale(variance)

    def _scale(self, variance: Tensor) -> Tensor:
        return (variance + self.eps).rsqrt()

    @torch.no_grad()
    def _see(self, x: Tensor) -> None:
        count, (mean, variance) = x.numel() // self.mean.numel(), batch_statistics(x, self.mean)
        if self._seen is not None:
            before, m, v = self._seen
            share = count / (count + before)
            variance = v.lerp(variance, share) + share * (1 - share) * (mean - m).square()
            mean, count = m.lerp(mean, share), count + before
        self._seen = count, mean, variance

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.population.sizes}, momentum={self.momentum}, feedback={self.feedback!r}"


def batch_statistics(values: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of values, in a shape that is broadcast to them.

    Args:
        values: Values of a batch.
        like: Tensor whose shape the statistics get, 1 in dimensions that they are taken over.
    """
    # Of dimensions of size 1 in both, it does not matter.
    dims = [d for d in range(-values.dim(), 0) if -d > like.dim() or like.shape[d] == 1]
    variance, mean = torch.var_mean(values, dims, correction=0, keepdim=True)
    return mean.reshape(like.shape), variance.reshape(like.shape)
