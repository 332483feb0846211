"""What a connection is: how one layer predicts another, and how errors return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from graphcolumns.nn.dynamics.predictive_coding.activation import Activation, identity


@dataclass(frozen=True, eq=False)
class Connection(ABC):
    r"""A prediction of a target layer by a source layer: a linear map and an activation.

    .. math::
        \hat x = f(a (W x + b)), \quad \text{or with before: } \hat x = a (W f(x) + b)

    A connection of your own has :meth:`linear`, :meth:`adjoint` and :meth:`tensors`; all of them
    are pure. Errors :math:`\delta` return as :math:`J^\top \delta`, with the same weights.

    Args:
        source: Name of the layer that predicts.
        target: Name of the layer that is predicted.
        activation: Function :math:`f` with its derivative: ``identity``, ``tanh`` or ``relu`` of
            ``graphcolumns.nn.dynamics``, or an
            :class:`~graphcolumns.nn.dynamics.Activation` of your own.
        before: Whether the activation comes before the weights.
        scale: Factor :math:`a`, see :func:`~graphcolumns.nn.dynamics.mupc_scales`.

    Raises:
        TypeError: An activation without its derivative, such as ``torch.tanh`` or a name.
    """

    source: str
    target: str
    activation: Activation = identity
    before: bool = False
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.activation, Activation):
            raise TypeError(
                "activation must be a function with its derivative. Expected an Activation. Got "
                f"{self.activation!r}; pass identity, tanh or relu of graphcolumns.nn.dynamics, or "
                "Activation(function, derivative)."
            )

    @property
    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """Weights, and all else that is learned."""

    @abstractmethod
    def linear(self, x: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """The affine map of values of the source, without its scale."""

    @abstractmethod
    def adjoint(self, delta: Tensor, tensors: tuple[Tensor, ...], shape: tuple[int, ...]) -> Tensor:
        """The transposed linear map of values of the target, in the shape of the source."""

    def check(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        """Raises ValueError where the shapes of two layers do not fit."""
        return

    def predict(self, x: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """The prediction of the target."""
        f = self.activation.function
        if self.before:
            return self._scaled(self.linear(f(x), tensors))
        return f(self._scaled(self.linear(x, tensors)))

    def pullback(self, x: Tensor, delta: Tensor, tensors: tuple[Tensor, ...]) -> Tensor:
        """Errors of the target, returned to the source."""
        shape, f = tuple(x.shape), self.activation
        if self.before:
            back = self._scaled(self.adjoint(delta, tensors, shape))
            return back if f.linear else f.derivative(x) * back
        if not f.linear:
            delta = f.derivative(self._scaled(self.linear(x, tensors))) * delta
        return self._scaled(self.adjoint(delta, tensors, shape))

    def _scaled(self, values: Tensor) -> Tensor:
        return values if self.scale == 1 else self.scale * values


def check_shapes(
    connection: Connection, what: str, expected: tuple[int, ...], got: tuple[int, ...]
) -> None:
    """Raises ValueError where a layer has another shape than its connection."""
    if expected != got:
        raise ValueError(
            f"the shape of a layer must fit its connections. Expected {expected} for the {what} of "
            f"{type(connection).__name__}({connection.source!r}, {connection.target!r}). Got {got}."
        )
