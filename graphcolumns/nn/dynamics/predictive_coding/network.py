"""A predictive coding network as a circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State, count_samples, tensors_of
from graphcolumns.nn.dynamics.predictive_coding.checks import check_network
from graphcolumns.nn.dynamics.predictive_coding.clamping import clamped_values
from graphcolumns.nn.dynamics.predictive_coding.connection import Connection
from graphcolumns.nn.dynamics.predictive_coding.curvature import largest_curvature
from graphcolumns.nn.dynamics.predictive_coding.edges import Edges
from graphcolumns.nn.dynamics.predictive_coding.errors import energy_of, signal_of
from graphcolumns.nn.dynamics.predictive_coding.layer import Layer, summed
from graphcolumns.nn.dynamics.predictive_coding.order import feedforward_order

# Tensors by the name of a layer.
Values = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class PredictiveCoding(Circuit):
    r"""Layers that predict each other along any directed graph, and settle on the errors.

    .. math::
        F = \sum_l \frac12 \lVert e_l \rVert^2_{\pi_l} + s_l \lVert x_l \rVert_1, \qquad
        e_l = x_l - \sum_{k \to l} f_{kl}(x_k), \qquad \dot x_l = -\partial F / \partial x_l

    Clamped layers keep their values; all others are inferred. What is called discriminative and
    generative predictive coding differs in the direction of the connections only, from inputs to
    labels or from causes to inputs: see :func:`discriminative` and :func:`generative`.

    With ``form="error"`` the variables are the errors: states are rebuilt by a pass through the
    layers, :math:`x_l = e_l + \sum_k f_{kl}(x_k)`, and :math:`\dot e_l = -dF/de_l`. The
    equilibria are the same. Errors reach all layers in one step, which takes fewer steps in deep
    networks; the step is no longer local.

    Args:
        layers: Layers by name.
        connections: Predictions, at most one per pair of layers and kind; several predictions of a
            layer add up.
        clamped: Names of the layers that keep their values, one or more.
        form: Variables of the dynamics: ``"state"`` or ``"error"``.
        read: Name of the layer that is the output (default: the last free layer).

    Shapes:
        - inputs: a mapping from clamped layers to ``[B, *shape]``; ``[N, B, C]`` where connections
          are :class:`Edges`
        - state: one tensor per free layer, in the order of ``layers``

    Raises:
        ValueError: Names that are no layers, shapes that do not fit, no clamped layer or no free
            one, a cross-entropy at a layer that is free, an error form whose layers predict each
            other in a cycle or that has shrinkage at a layer that is predicted.

    Source: Rao & Ballard, Predictive coding in the visual cortex, Nature Neuroscience 1999,
    https://doi.org/10.1038/4580; on graphs, Salvatori et al., Learning on arbitrary graph
    topologies via predictive coding, NeurIPS 2022, https://arxiv.org/abs/2201.13180; error form,
    Goemaere et al., Error-based predictive coding, 2025, https://arxiv.org/abs/2505.20137.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import Dense, Layer, PredictiveCoding, solve
        >>> layers = {"x": Layer(1), "h": Layer(1), "y": Layer(1)}
        >>> one = torch.ones(1, 1)
        >>> links = [Dense("x", "h", weight=one), Dense("h", "y", weight=one)]
        >>> circuit = PredictiveCoding(layers, links, clamped=("x", "y"))
        >>> found = solve(circuit, {"x": torch.zeros(1, 1), "y": one}, tolerance=1e-6)
        >>> found.output.item(), found.energy.item()
        (0.5, 0.25)
    """

    layers: Mapping[str, Layer]
    connections: Sequence[Connection]
    clamped: tuple[str, ...]
    form: Literal["state", "error"] = "state"
    read: str | None = None
    free: tuple[str, ...] = field(init=False)
    predicted: frozenset[str] = field(init=False)
    order: tuple[str, ...] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", tuple(n for n in self.layers if n not in self.clamped))
        object.__setattr__(self, "predicted", frozenset(c.target for c in self.connections))
        along_edges = any(isinstance(c, Edges) for c in self.connections)
        object.__setattr__(self, "batch_dim", int(along_edges))
        check_network(self)
        try:
            order = feedforward_order(self.layers, self.free, self.connections)
            object.__setattr__(self, "order", order)
        except ValueError:
            if self.form == "error":
                raise

    def clamping(self, *names: str) -> PredictiveCoding:
        """The same network with other layers clamped."""
        read = None if self.read in names else self.read
        return replace(self, clamped=names, read=read)

    def drive(self, inputs: Any) -> Drive:
        """Values of the clamped layers, and the weights of all connections.

        Raises:
            ValueError, TypeError: Values that do not fit, see ``inputs``, or are not finite.
        """
        samples = clamped_values(inputs, self.clamped, self.layers, self.batch_dim)
        return Drive(samples, tuple(t for c in self.connections for t in c.tensors))

    def initial(self, drive: Drive) -> State:
        """The feed-forward pass: all errors are 0. With cycles: zeros."""
        count = count_samples(drive.samples, self.batch_dim)
        zeros = {
            name: self.layers[name].like(count, self.batch_dim, drive.samples[0])
            for name in self.free
        }
        if self.form == "error" or self.order is None:
            return tuple(zeros.values())
        values = self._rebuilt(zeros, drive)
        return tuple(self._within(name, values[name]) for name in self.free)

    def values(self, state: State, drive: Drive) -> dict[str, Tensor]:
        """Values of all layers."""
        free = dict(zip(self.free, tensors_of(state), strict=True))
        if self.form == "error":
            return self._rebuilt(free, drive)
        known = dict(zip(self.clamped, drive.samples, strict=True)) | free
        return {name: known[name] for name in self.layers}

    def state_of(self, values: Values, drive: Drive) -> State:
        """The state whose free layers have these values: a start of one's own for ``solve``."""
        if self.form == "state":
            return tuple(values[name] for name in self.free)
        known = dict(zip(self.clamped, drive.samples, strict=True)) | {
            name: values[name] for name in self.free
        }
        predictions = self.predictions(known, drive)
        return tuple(
            known[name] - predictions[name] if name in predictions else known[name]
            for name in self.free
        )

    def predictions(self, values: Values, drive: Drive) -> dict[str, Tensor]:
        """Predictions of all layers that are predicted."""
        sums: dict[str, Tensor] = {}
        for connection, tensors in self.weighted(drive):
            part = connection.predict(values[connection.source], tensors)
            name = connection.target
            sums[name] = sums[name] + part if name in sums else part
        return sums

    def errors(self, values: Values, drive: Drive) -> dict[str, Tensor]:
        r"""Errors of all layers that are predicted, times their precisions.

        They are :math:`-\partial F / \partial \hat x_l`; with a cross-entropy, values minus the
        softmax of the prediction.
        """
        return {
            name: signal_of(self.layers[name], values[name], prediction, self.batch_dim)
            for name, prediction in self.predictions(values, drive).items()
        }

    def flow(self, state: State, drive: Drive) -> State:
        """The negative gradient of the energy, from errors and transposed weights."""
        values, forces = self._forces(state, drive)
        rates = []
        for name, variable in zip(self.free, tensors_of(state), strict=True):
            at = variable if self.form == "error" else values[name]
            rates.append(self.layers[name].rate(at, forces[name]))
        return tuple(rates)

    def step(self, state: State, drive: Drive, dt: float) -> State:
        """A gradient step on errors, then shrinkage (a proximal step)."""
        _, forces = self._forces(state, drive)
        return tuple(
            self._within(name, variable + dt * forces[name], dt)
            for name, variable in zip(self.free, tensors_of(state), strict=True)
        )

    def constrained(self, state: State) -> State:
        """The state with the values of nonnegative layers at 0 or above."""
        pairs = zip(self.free, tensors_of(state), strict=True)
        return tuple(self._within(name, variable) for name, variable in pairs)

    def output(self, state: State, drive: Drive) -> Tensor:
        """Values of the layer that is read."""
        return self.values(state, drive)[self.read or self.free[-1]]

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The energy F, ``[B]``."""
        values = self.values(state, drive)
        parts = [
            energy_of(self.layers[name], values[name], prediction, self.batch_dim)
            for name, prediction in self.predictions(values, drive).items()
        ]
        for name in self.free:
            if shrinkage := self.layers[name].shrinkage:
                parts.append(shrinkage * summed(values[name].abs(), self.batch_dim))
        return torch.stack(parts).sum(0)

    def step_limit(self, drive: Drive) -> float | None:
        r""":math:`2 / \lambda_{max}` of the Hessian of linear networks; None for all others."""
        squared = all(self.layers[name].loss == "squared" for name in self.predicted)
        if not squared or not all(c.activation.linear for c in self.connections):
            return None
        given, dim = drive.samples[0].detach(), self.batch_dim
        clamped = tuple(self.layers[name].like(1, dim, given) for name in self.clamped)
        one = Drive(clamped, drive.shared)
        like = tuple(self.layers[name].like(1, dim, given) for name in self.free)

        def rate(state: State) -> State:
            forces = self._forces(state, one)[1]
            return tuple(forces[name] for name in self.free)

        curvature = largest_curvature(rate, like, dim)
        return 2 / curvature if curvature > 0 else float("inf")

    def _within(self, name: str, values: Tensor, dt: float = 0.0) -> Tensor:
        layer = self.layers[name]
        return layer.shrunk(values, dt) if layer.proximal else values

    def weighted(self, drive: Drive) -> list[tuple[Connection, tuple[Tensor, ...]]]:
        """Connections with their weights, which stand in the drive."""
        pairs, start = [], 0
        for connection in self.connections:
            end = start + len(connection.tensors)
            pairs.append((connection, drive.shared[start:end]))
            start = end
        return pairs

    def _rebuilt(self, errors: Values, drive: Drive) -> dict[str, Tensor]:
        """Values of all layers from the errors of the free ones."""
        assert self.order is not None
        known = dict(zip(self.clamped, drive.samples, strict=True))
        pairs = self.weighted(drive)
        for name in self.order:
            if name in known:
                continue
            value = errors[name]
            for connection, tensors in pairs:
                if connection.target == name:
                    value = value + connection.predict(known[connection.source], tensors)
            known[name] = value
        return {name: known[name] for name in self.layers}

    def _forces(self, state: State, drive: Drive) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values of all layers, and what errors exert on each free variable."""
        values = self.values(state, drive)
        errors = self.errors(values, drive)
        if self.form == "state":
            return values, self._local_forces(values, errors, drive)
        return values, self._total_forces(values, errors, drive)

    def _local_forces(self, values: Values, errors: Values, drive: Drive) -> dict[str, Tensor]:
        forces = {name: -errors[name] for name in self.free if name in errors}
        for connection, tensors in self.weighted(drive):
            if (name := connection.source) in self.free:
                back = connection.pullback(values[name], errors[connection.target], tensors)
                forces[name] = forces[name] + back if name in forces else back
        return forces

    def _total_forces(self, values: Values, errors: Values, drive: Drive) -> dict[str, Tensor]:
        assert self.order is not None
        # What arrives at each layer from all layers that depend on it, last layers first.
        arriving = {name: errors[name] for name in self.clamped if name in errors}
        pairs = self.weighted(drive)
        for name in reversed([n for n in self.order if n in self.free]):
            total = torch.zeros_like(values[name])
            for connection, tensors in pairs:
                if connection.source == name:
                    delta = arriving[connection.target]
                    total = total + connection.pullback(values[name], delta, tensors)
            arriving[name] = total
        return {
            name: arriving[name] - errors[name] if name in errors else arriving[name]
            for name in self.free
        }
