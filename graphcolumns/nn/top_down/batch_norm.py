"""Normalisation by batch statistics, for which the learning rule is not exact."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.top_down.frozen_norm import FrozenNorm, batch_statistics
from graphcolumns.nn.top_down.weighted import Feedback

TopDownStatistics = Literal["bottom_up", "own"]


class TopDownBatchNorm(FrozenNorm):
    r"""Batch normalisation; in training, Counter-Hebbian learning is not backpropagation.

    In training mode values are normalised by mean and variance of their own batch, over which the
    gradient of backpropagation passes from sample to sample. The top-down pass leaves that out:

    .. math::
        \bar z = \hat w \odot \frac{\bar h}{\sqrt{\sigma^2_{\text{batch}} + \epsilon}}
        \quad \text{(``bottom_up``)}, \qquad
        \bar z = \hat w \odot \frac{\bar h - \mathrm{E}[\bar h]}{\sqrt{\mathrm{Var}[\bar h] +
        \epsilon}} \quad \text{(``own``)}

    With ``own``, as in the source, top-down neurons have statistics of their own, which also
    changes the size of gradients below. In evaluation mode running statistics are used, and
    with ``bottom_up`` the rule is exact. :class:`FrozenNorm` is exact in training, too.

    Args:
        shape: Shape of the population without the batch, see :class:`FrozenNorm`.
        columns: Whether the population is one of columns.
        momentum: Share of new statistics in every step.
        eps: Number added to variances.
        bias: Whether there is a bias.
        feedback: Weights of the top-down pass; all weights start at 1.
        top_down_statistics: ``"bottom_up"``, the variance of the bottom-up neurons; ``"own"``, mean
            and variance of the top-down neurons wherever a bottom-up pass was made before.

    Shapes:
        - source and target: ``[B, F]``, ``[B, C, Y, X]``, or ``[N, B, C]`` for columns

    Raises:
        ValueError: As :class:`FrozenNorm`, and unknown ``top_down_statistics``.

    Source: Ioffe & Szegedy, Batch Normalization, ICML 2015, https://arxiv.org/abs/1502.03167; own
    statistics: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual
    Processing, 2023, https://arxiv.org/abs/2306.02415.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import TopDownBatchNorm
        >>> norm = TopDownBatchNorm(4)
        >>> bool(norm(3 + torch.randn(32, 4)).mean().abs() < 1e-5)
        True
    """

    def __init__(
        self,
        shape: tuple[int, ...] | int,
        columns: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
        bias: bool = True,
        feedback: Feedback = "tied",
        top_down_statistics: TopDownStatistics = "bottom_up",
    ) -> None:
        check_choice("top_down_statistics", top_down_statistics, get_args(TopDownStatistics))
        super().__init__(shape, columns, momentum, eps, bias, feedback)
        self.top_down_statistics = top_down_statistics

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the batch in training, running ones in evaluation."""
        return batch_statistics(x, self.mean) if self.training else super().statistics(x)

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass; before any bottom-up pass, with running statistics."""
        if x is None:
            return self.adjoint(counter, self.feedback_weight, shape)
        self.population.check("the target", counter)
        if self.top_down_statistics == "own":
            mean, variance = batch_statistics(counter, self.mean)
            counter = counter - mean
        else:
            _, variance = self.statistics(x)
        return counter * (self.feedback_weight * self._scale(variance))
