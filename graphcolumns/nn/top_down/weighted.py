"""Layers with weights, and where the weights of their top-down pass come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.top_down.layer import TopDownLayer

Feedback = Literal["tied", "copied", "independent", "sign", "sign_fixed", "sign_redrawn", "direct"]
# Those with weights that a rule may change.
OWN: tuple[Feedback, ...] = ("copied", "independent")
MAGNITUDES: tuple[Feedback, ...] = ("sign_fixed", "sign_redrawn")


class WeightedTopDownLayer(TopDownLayer):
    r"""A layer with weights ``weight`` and, unless they are shared, ``top_down_weight``.

    .. math::
        z = W h + b, \qquad \bar z = \hat W^\top \bar h, \qquad
        \Delta W = \sum_b \bar h \, h^\top, \quad \Delta b = \sum_b \bar h

    A layer of your own defines :meth:`linear`, :meth:`adjoint`, :meth:`products` and
    :meth:`per_unit`, calls :meth:`add_feedback` once its weights are there, and may be linear in
    its weights in any way: dense, convolutional, sparse.

    Args:
        feedback: Weights of the top-down pass: ``"tied"``, those of the bottom-up pass;
            ``"copied"``, their own, equal at the start; ``"independent"``, their own, drawn anew;
            ``"sign"``, the signs of the bottom-up weights, at their root mean square;
            ``"sign_fixed"``, their signs, with magnitudes that are drawn once;
            ``"sign_redrawn"``, with magnitudes that the learning rule draws anew for every batch;
            ``"direct"``, those of the bottom-up pass, for instructions alone: the error goes past
            them (:class:`DirectFeedback`).
            Whether own weights learn, and how, is up to the learning rule.
        feedback_noise: Standard deviation of a factor of mean 1 on every copied weight, for a
            symmetry that is weak from the start.

    Attributes:
        weight: Weights of the bottom-up pass.
        bias: One number per unit, or None.
        top_down_weight: Own weights of the top-down pass, in the shape of ``weight``, or None.
        top_down_magnitude: Magnitudes beside the signs, in the shape of ``weight``, or None.

    Raises:
        ValueError: An unknown ``feedback``, a negative ``feedback_noise``, or one of weights that
            are not copied.

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415; signs, and their magnitudes: Liao, Leibo & Poggio, How
    Important is Weight Symmetry in Backpropagation?, AAAI 2016, https://arxiv.org/abs/1510.05067.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    top_down_weight: nn.Parameter | None
    top_down_magnitude: Tensor | None

    # They decay whatever their shape: weights per edge are vectors.
    decayed = ("weight", "top_down_weight")
    # One number per column and channel is a matrix, and not decayed all the same.
    no_weight_decay: tuple[str, ...] = ("bias",)

    def __init__(self, feedback: Feedback = "tied", feedback_noise: float = 0.0) -> None:
        super().__init__()
        check_choice("feedback", feedback, get_args(Feedback))
        _check_noise(feedback, feedback_noise)
        self.feedback, self.feedback_noise, self._draw_factor = feedback, feedback_noise, 1.0
        self.register_parameter("top_down_weight", None)
        self.register_buffer("top_down_magnitude", None)

    @abstractmethod
    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """The bottom-up map without bias."""

    @abstractmethod
    def adjoint(self, counter: Tensor, weight: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The transposed map."""

    @abstractmethod
    def products(self, x: Tensor, counter: Tensor) -> Tensor:
        """The sum over the batch of ``counter`` times ``x``, one number per weight."""

    @abstractmethod
    def per_unit(self, values: Tensor) -> Tensor:
        """Numbers per unit, such as a bias, in a shape that is added to outputs."""

    def unit_sums(self, counter: Tensor) -> Tensor:
        """The sums of top-down neurons over all that share a number per unit."""
        assert self.bias is not None
        return summed_to(counter, self.per_unit(self.bias)).reshape(self.bias.shape)

    def reset_parameters(self) -> None:
        """Draws new weights, and new top-down weights where they are independent."""
        self._draw_scaled(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
        if self.top_down_weight is not None:
            if self.feedback == "copied":
                with torch.no_grad():
                    self.top_down_weight.copy_(self.weight)
                    if self.feedback_noise:
                        factor = torch.randn_like(self.weight) * self.feedback_noise + 1
                        self.top_down_weight.mul_(factor)
            else:
                self._draw_scaled(self.top_down_weight)
        self.redraw_magnitudes()

    def redraw_magnitudes(self) -> None:
        """Draws the magnitudes beside the signs anew, those of weights as they were drawn."""
        if self.top_down_magnitude is not None:
            drawn = nn.Parameter(torch.empty_like(self.weight))
            self._draw_scaled(drawn)
            self.top_down_magnitude = drawn.detach().abs()

    def scale_draws(self, factor: float) -> None:
        """Multiplies all weights by a factor, and those that are drawn from now on.

        Args:
            factor: Factor on the spread of weights.
        """
        self._draw_factor *= factor
        with torch.no_grad():
            for weight in (self.weight, self.top_down_weight, self.top_down_magnitude):
                if weight is not None:
                    weight.mul_(factor)

    def _draw_scaled(self, weight: nn.Parameter) -> None:
        self.draw(weight)
        if self._draw_factor != 1:
            weight.data.mul_(self._draw_factor)

    @abstractmethod
    def draw(self, weight: nn.Parameter) -> None:
        """Draws values for a tensor of weights."""

    def add_feedback(self) -> None:
        """Adds own top-down weights where ``feedback`` requires them, and draws all weights."""
        if self.feedback in OWN:
            self.top_down_weight = nn.Parameter(torch.empty_like(self.weight))
        if self.feedback in MAGNITUDES:
            self.top_down_magnitude = torch.empty_like(self.weight.detach())
        self.reset_parameters()

    @property
    def feedback_weight(self) -> Tensor:
        """The weights that the top-down pass uses, in the shape of ``weight``."""
        if self.top_down_weight is not None:
            return self.top_down_weight
        if self.top_down_magnitude is not None:
            return self.weight.sign() * self.top_down_magnitude
        if self.feedback == "sign":
            return self.weight.sign() * self.weight.square().mean().sqrt()
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """The bottom-up pass."""
        z = self.linear(x, self.weight)
        return z if self.bias is None else z + self.per_unit(self.bias)

    def top_down(self, counter: Tensor, shape: tuple[int, ...], x: Tensor | None = None) -> Tensor:
        """The top-down pass."""
        return self.adjoint(counter, self.feedback_weight, shape)

    def counter_hebb(self, x: Tensor, counter: Tensor) -> Iterator[tuple[nn.Parameter, Tensor]]:
        """The gradients of weights and bias."""
        if self.weight.requires_grad:
            yield self.weight, self.products(x, counter)
        if self.bias is not None and self.bias.requires_grad:
            # The counter neuron times an input that is always 1.
            yield self.bias, self.unit_sums(counter)


def _check_noise(feedback: str, noise: Any) -> None:
    if not noise >= 0:
        raise ValueError(f"feedback_noise must be 0 or more. Got {noise!r}.")
    if noise and feedback != "copied":
        raise ValueError(
            "feedback_noise is noise on copied weights. Expected feedback='copied'. Got "
            f"{feedback!r}; leave one of them out."
        )


def summed_to(values: Tensor, like: Tensor) -> Tensor:
    """The sums of ``values`` over all dimensions along which ``like`` is broadcast."""
    return values.sum_to_size(like.shape)
