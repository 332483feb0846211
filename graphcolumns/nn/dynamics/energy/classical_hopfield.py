"""Associative memory of binary units with Hebbian weights: the classical Hopfield network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_finite, require_shape
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State


@dataclass(frozen=True, eq=False)
class ClassicalHopfield(Circuit):
    r"""Units of +1 and -1 that take the sign of their input, one after the other.

    .. math::
        u_i \leftarrow \mathrm{sign}\Big(\sum_j W_{ij} u_j\Big), \qquad
        E = -\frac12 u^\top W u

    One step is a sweep over all units in order, each of which receives from those already updated;
    a unit whose input is 0 stays. With symmetric weights without diagonal no update increases the
    energy, so a state is fixed after a finite number of sweeps. A sweep has no time step: ``dt``
    has no effect. Nothing here has a gradient.

    Args:
        weight: Symmetric weights without diagonal, ``[n, n]``, such as those of
            :func:`hebbian_weights`.

    Shapes:
        - inputs: cues ``[B, n]``, whose signs are where the state starts (0 counts as +1)
        - state, output: ``[B, n]``, of +1 and -1

    Raises:
        ValueError: Weights that are not square, symmetric and finite, or have a diagonal.
        TypeError: Tensors that are not floating.

    Source: Hopfield, Neural networks and physical systems with emergent collective computational
    abilities, PNAS 1982, https://doi.org/10.1073/pnas.79.8.2554.
    """

    # Units are thresholds: there is no derivative.
    settles = False

    weight: Tensor

    def __post_init__(self) -> None:
        require_shape("weight", self.weight, ("n", "n"))
        require_finite("weight", self.weight)
        w = self.weight.detach()
        square = w.shape[0] == w.shape[1]
        if not square or not torch.equal(w, w.T) or bool(w.diagonal().any()):
            raise ValueError(
                "weight must be square, symmetric and zero on its diagonal: otherwise sweeps need "
                f"not end. Got {list(w.shape)}; pass (w + w.T) / 2 without its diagonal."
            )

    def drive(self, inputs: Tensor) -> Drive:
        """Cues and weights."""
        require_shape("inputs", inputs, ("B", len(self.weight)))
        require_finite("inputs", inputs)
        return Drive((inputs,), (self.weight,))

    def initial(self, drive: Drive) -> Tensor:
        """The signs of the cues."""
        return torch.where(drive.samples[0] < 0, -1.0, 1.0).to(drive.samples[0])

    def flow(self, state: State, drive: Drive) -> Tensor:
        """The sign that every unit would take, less its state."""
        assert isinstance(state, Tensor)
        return _signs(state @ drive.shared[0], state) - state

    def step(self, state: State, drive: Drive, dt: float) -> Tensor:
        """One sweep."""
        assert isinstance(state, Tensor)
        weight, units = drive.shared[0], list(state.unbind(1))
        inputs = state @ weight
        for i, before in enumerate(units):
            units[i] = _signs(inputs[:, i], before)
            inputs = inputs + (units[i] - before)[:, None] * weight[i]
        return torch.stack(units, 1) if units else state

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The energy, ``[B]``."""
        assert isinstance(state, Tensor)
        return -((state @ drive.shared[0]) * state).sum(1) / 2

    def step_limit(self, drive: Drive) -> float:
        """2: a sweep is stable, and has no time step that could be too long."""
        return 2.0


def hebbian_weights(patterns: Tensor) -> Tensor:
    r"""Weights that store patterns, by the rule of Hebb.

    .. math::
        W = \frac1n \sum_\mu x_\mu x_\mu^\top - \mathrm{diag}

    Args:
        patterns: Patterns of +1 and -1, ``[M, n]``.

    Returns:
        Symmetric weights without diagonal, ``[n, n]``.

    Raises:
        ValueError: Another shape, or entries other than +1 and -1.
        TypeError: ``patterns`` is not a floating tensor.
    """
    require_shape("patterns", patterns, ("M", "n"))
    if bool((patterns.abs() != 1).any()):
        raise ValueError("patterns must be of +1 and -1. Got other values; pass their signs.")
    weight = patterns.T @ patterns / max(1, patterns.shape[1])
    weight = (weight + weight.T) / 2
    return weight - torch.diag(weight.diagonal())


def _signs(inputs: Tensor, state: Tensor) -> Tensor:
    return torch.where(inputs == 0, state, torch.sign(inputs))
