"""The rule of Hebb, and the two that keep it bounded: Oja for one component, Sanger for several."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive, require_shape


def hebbian_step(weight: Tensor, inputs: Tensor, rate: float) -> Tensor:
    r"""One step of the rule of Hebb.

    .. math::
        w_k \leftarrow w_k + \eta \, \langle y_k x \rangle, \qquad y = W x

    It does not keep weights bounded: they grow along the largest principal component.

    Args:
        weight: Weights of the units, ``[n, m]``.
        inputs: Inputs, ``[B, m]``; their mean should be zero.
        rate: Learning rate :math:`\eta`, in units of weight per step.

    Returns:
        New weights, ``[n, m]``.

    Raises:
        ValueError: Shapes that do not fit, no sample, NaN, or a rate that is not positive.
        TypeError: Tensors that are not floating.

    Source: Hebb, The organization of behavior, Wiley 1949,
    https://doi.org/10.4324/9781410612403.
    """
    check_samples(weight, inputs, rate)
    y = inputs @ weight.T
    return weight + rate * _mean_product(y, inputs)


def oja_step(weight: Tensor, inputs: Tensor, rate: float) -> Tensor:
    r"""One step of the rule of Oja, every unit for itself.

    .. math::
        w_k \leftarrow w_k + \eta \, \langle y_k (x - y_k w_k) \rangle

    Weights converge to the first principal component of the inputs, with norm 1, for rates that are
    small against the inverse of the largest variance.

    Args:
        weight: Weights of the units, ``[n, m]``.
        inputs: Inputs, ``[B, m]``, with mean zero.
        rate: Learning rate :math:`\eta`.

    Returns:
        New weights, ``[n, m]``.

    Raises:
        ValueError: As :func:`hebbian_step`.
        TypeError: As :func:`hebbian_step`.

    Source: Oja, A simplified neuron model as a principal component analyzer, Journal of
    Mathematical Biology 1982, https://doi.org/10.1007/BF00275687.
    """
    check_samples(weight, inputs, rate)
    y = inputs @ weight.T
    decay = y.square().mean(0)[:, None] * weight
    return weight + rate * (_mean_product(y, inputs) - decay)


def sanger_step(weight: Tensor, inputs: Tensor, rate: float) -> Tensor:
    r"""One step of the generalised Hebbian algorithm.

    .. math::
        w_k \leftarrow w_k + \eta \, \Big\langle y_k \Big(x - \sum_{l \le k} y_l w_l\Big)
        \Big\rangle

    Unit k converges to the k-th principal component, because it does not see what the units before
    it explain.

    Args:
        weight: Weights of the units, ``[n, m]``.
        inputs: Inputs, ``[B, m]``, with mean zero.
        rate: Learning rate :math:`\eta`.

    Returns:
        New weights, ``[n, m]``.

    Raises:
        ValueError: As :func:`hebbian_step`.
        TypeError: As :func:`hebbian_step`.

    Source: Sanger, Optimal unsupervised learning in a single-layer linear feedforward neural
    network, Neural Networks 1989, https://doi.org/10.1016/0893-6080(89)90044-0.
    """
    check_samples(weight, inputs, rate)
    y = inputs @ weight.T
    explained = torch.tril(_mean_product(y, y)) @ weight
    return weight + rate * (_mean_product(y, inputs) - explained)


def check_samples(weight: Tensor, inputs: Tensor, rate: float) -> None:
    """Raises ValueError or TypeError unless a rule can be applied."""
    require_shape("weight", weight, ("n", "m"))
    require_shape("inputs", inputs, ("B", weight.shape[1]))
    if not len(inputs):
        raise ValueError("a rule averages over samples. Expected one or more. Got none.")
    require_positive(rate=rate)
    require_finite("weight", weight)
    require_finite("inputs", inputs)


def _mean_product(y: Tensor, x: Tensor) -> Tensor:
    """The mean over samples of ``y x^T``."""
    return y.T @ x / len(x)
