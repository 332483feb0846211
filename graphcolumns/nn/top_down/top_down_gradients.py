"""Gradients that go down a network along its top-down stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from graphcolumns.nn.top_down.layer import TopDownLayer
from graphcolumns.nn.top_down.network import TopDownNetwork


@contextmanager
def top_down_gradients(network: TopDownNetwork) -> Iterator[None]:
    r"""A context in which autograd goes down a network along its top-down stream.

    In a bottom-up pass that is made inside, the derivative by the neurons below a layer is the
    top-down pass of that layer, with its own top-down weights, in place of its transpose:

    .. math::
        \frac{\partial L}{\partial h_s} := \sum_{s \to t} \hat W_{ts}^\top \bar h_t

    So the gradient of a loss of the prediction by what a layer has computed is the counter neuron
    :math:`\bar h_t` of an error pass, and by a weight it is the Counter-Hebbian product. With tied
    weights both are those of backpropagation. Values are as outside.

    Args:
        network: Network whose bottom-up passes are made inside.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.top_down import Population, Projection, TopDownLinear
        >>> from graphcolumns.nn.top_down import TopDownNetwork, top_down_gradients
        >>> layer = TopDownLinear(4, 2, feedback="independent")
        >>> ends = {"input": Population(4, "identity"), "prediction": Population(2, "identity")}
        >>> network = TopDownNetwork(ends, [Projection("input", "prediction", layer)])
        >>> image = torch.ones(1, 4, requires_grad=True)
        >>> with top_down_gradients(network):
        ...     network.bottom_up({"input": image})["prediction"].sum().backward()
        >>> torch.allclose(image.grad, layer.top_down_weight.sum(0))
        True

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415.
    """
    with ExitStack() as hooks:
        for layer in network.layers:
            below: list[Tensor] = []
            hooks.enter_context(layer.register_forward_pre_hook(_cut(below)))
            hooks.enter_context(layer.register_forward_hook(_joined(below)))
        yield


def _cut(below: list[Tensor]) -> Any:
    """A hook that cuts a layer off the gradients of what is below it."""

    def hook(layer: TopDownLayer, args: tuple[Tensor]) -> tuple[Tensor]:
        below.append(args[0])
        return (args[0].detach(),)

    return hook


def _joined(below: list[Tensor]) -> Any:
    """A hook that joins them again by the top-down pass of the layer."""

    def hook(layer: TopDownLayer, args: tuple[Tensor], out: Tensor) -> Any:
        return _TopDown.apply(layer, below.pop(), out)

    return hook


class _TopDown(torch.autograd.Function):
    """The values of a layer, with its top-down pass in place of its derivative by the source."""

    @staticmethod
    def forward(ctx: Any, layer: TopDownLayer, x: Tensor, out: Tensor) -> Tensor:
        ctx.layer, ctx.x = layer, x.detach()
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, counter: Tensor) -> tuple[None, Tensor | None, Tensor]:
        below = ctx.needs_input_grad[1]
        source = ctx.layer.top_down(counter, tuple(ctx.x.shape), ctx.x) if below else None
        return None, source, counter
