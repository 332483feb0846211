"""Attention along edges and a memory per column, as the gradient of one energy."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.dynamics.core.arguments import require_finite, require_positive, require_shape
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.energy.activity import activity, activity_rate
from graphcolumns.nn.dynamics.energy.edge_energy import edge_energy, edge_forces
from graphcolumns.nn.dynamics.energy.recall import memory_energy, recalled
from graphcolumns.ops import untied_linear
from graphcolumns.ops.column_attention.checks import check_edge_values, check_graph

MEMORIES = ("relu", "softmax")
# The largest step limit that is given: without edges every step descends.
LARGEST_LIMIT = 100.0


@dataclass(frozen=True, eq=False)
class EnergyTransformer(Circuit):
    r"""A transformer block on the edges of a graph that descends one energy.

    .. math::
        g &= \gamma \frac{x - \bar x}{\sqrt{\mathrm{var}(x) + \epsilon}} + \delta, \qquad
        q_i = W^Q g_i, \quad k_j = W^K g_j \\
        E &= -\frac1\beta \sum_{i,h} \log \sum_{j \in \mathcal{N}(i)}
              e^{\beta q_{ih}^\top k_{jh} + b_{ij}} + \sum_i E_\mathrm{mem}(\xi^\top g_i) \\
        \dot x &= -\frac{\partial E}{\partial g}

    with :math:`E_\mathrm{mem}(h) = -\frac12 \sum_\mu \max(h_\mu, 0)^2` (``"relu"``) or
    :math:`-\frac1\beta \log \sum_\mu e^{\beta h_\mu}` (``"softmax"``). The gradient has two terms
    of attention: a column as a query over its in-edges, and as a key over its out-edges.

    Since g is the gradient of a convex function, :math:`\dot E = -\dot x^\top \nabla^2 L \, \dot x
    \le 0` in continuous time. Euler steps below :meth:`step_limit` do not increase the energy
    either. States grow along the force that is left, while activities settle, ever more slowly: the
    :meth:`residual` is their rate of change. So run a number of steps, or to a moderate tolerance.
    For gradients take ``Unrolled()``, since states have no fixed point.

    Args:
        graph: Edges, among the N columns.
        query: Maps to queries, ``[C, H, D]``, or one per column, ``[N, C, H, D]``.
        key: Maps to keys, as ``query``.
        memory: Stored patterns :math:`\xi`, ``[C, K]``, or those of every column, ``[N, C, K]``.
        gain: Gain :math:`\gamma`, positive, ``[]`` or ``[N]``: the inverse temperature of a column.
        offset: Offset :math:`\delta`, ``[C]`` or ``[N, C]``.
        bias: Bias :math:`b` of edges, ``[E]`` or ``[E, H]``, or None.
        beta: Inverse temperature :math:`\beta` of attention (default: ``D ** -0.5``).
        epsilon: Variance :math:`\epsilon` that is added. The larger, the larger the step limit.
        memory_kind: ``"relu"`` or ``"softmax"``.
        reverse: The graph turned round, if it is at hand (default: ``graph.reverse()``).

    Shapes:
        - inputs: initial states ``[N, B, C]``
        - state, output: ``[N, B, C]``; the output is the activity g

    Raises:
        ValueError: Shapes that do not fit each other, NaN, a gain, beta or epsilon that is not
            positive, or a graph whose sources are not its columns.
        TypeError: ``graph`` is not a ColumnGraph, or a tensor that is not floating.

    Source: Hoover, Liang, Pham, Panda, Strobelt, Chau, Zaki & Krotov, Energy Transformer, NeurIPS
    2023, https://arxiv.org/abs/2302.07253.
    """

    batch_dim = 1
    # States grow for ever where the normalised activity has come to rest.
    settles = False

    graph: ColumnGraph
    query: Tensor
    key: Tensor
    memory: Tensor
    gain: Tensor
    offset: Tensor
    bias: Tensor | None = None
    beta: float | None = None
    epsilon: float = 0.1
    memory_kind: str = "relu"
    reverse: ColumnGraph | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_graph(self.graph)
        n = self.graph.num_columns
        if self.graph.num_sources != n:
            raise ValueError(
                f"an energy needs edges among the columns themselves. Expected {n} sources. Got "
                f"{self.graph.num_sources}; build a graph with num_sources=num_columns."
            )
        check_choice("memory_kind", self.memory_kind, MEMORIES)
        require_shape("query", self.query, ("C", "H", "D"), (n, "C", "H", "D"))
        c, h, d = self.query.shape[-3:]
        require_shape("key", self.key, (c, h, d), (n, c, h, d))
        require_shape("memory", self.memory, (c, "K"), (n, c, "K"))
        if self.memory_kind == "softmax" and not self.memory.shape[-1]:
            raise ValueError("a softmax memory needs patterns. Got K = 0; pass memory_kind='relu'.")
        require_shape("gain", self.gain, (), (n,))
        require_shape("offset", self.offset, (c,), (n, c))
        if self.bias is not None:
            check_edge_values("bias", self.bias, self.graph.num_edges, h)
        for name in ("query", "key", "memory", "offset"):
            require_finite(name, getattr(self, name))
        require_positive(gain=self.gain, epsilon=self.epsilon)
        beta = d**-0.5 if self.beta is None else self.beta
        require_positive(beta=beta)
        object.__setattr__(self, "beta", float(beta))
        if self.reverse is None:
            object.__setattr__(self, "reverse", self.graph.reverse())

    def drive(self, inputs: Tensor) -> Drive:
        """Initial states, and all weights."""
        require_shape("inputs", inputs, (self.graph.num_columns, "B", self.query.shape[-3]))
        require_finite("inputs", inputs)
        bias = () if self.bias is None else (self.bias,)
        shared = (self.query, self.key, self.memory, self.gain, self.offset, *bias)
        return Drive((inputs,), shared)

    def initial(self, drive: Drive) -> Tensor:
        """The inputs."""
        return drive.samples[0]

    def flow(self, state: State, drive: Drive) -> Tensor:
        """The negative gradient of the energy with respect to the activity, ``[N, B, C]``."""
        query, key, memory, *_, bias = _weights(drive)
        g = self.output(state, drive)
        q, k = self._heads(g, query), self._heads(g, key)
        assert self.reverse is not None
        on_q, on_k = edge_forces(q, k, self.graph, self.reverse, self._beta, bias)
        weights = recalled(_mapped(g, memory), self.memory_kind, self._beta)
        attended = _mapped(on_q.flatten(2), _matrix(query).mT)
        received = _mapped(on_k.flatten(2), _matrix(key).mT)
        return attended + received + _mapped(weights, memory.mT)

    def output(self, state: State, drive: Drive) -> Tensor:
        """Activities g, ``[N, B, C]``."""
        assert isinstance(state, Tensor)
        _, _, _, gain, offset, _ = _weights(drive)
        return activity(state, gain, offset, self.epsilon)

    def energy(self, state: State, drive: Drive) -> Tensor:
        """The energy of attention and memories, ``[B]``."""
        query, key, memory, *_, bias = _weights(drive)
        g = self.output(state, drive)
        q, k = self._heads(g, query), self._heads(g, key)
        attention = edge_energy(q, k, self.graph, self._beta, bias).sum((0, 2))
        stored = memory_energy(_mapped(g, memory), self.memory_kind, self._beta)
        return attention.to(g.dtype) + stored.sum(0)

    def residual(self, state: State, drive: Drive) -> Tensor:
        """Largest rate of change of an activity, ``[B]``: 0 where the energy stays."""
        assert isinstance(state, Tensor)
        rate = activity_rate(state, self.flow(state, drive), _weights(drive)[3], self.epsilon)
        return rate.abs().amax((0, 2))

    def step_limit(self, drive: Drive) -> float:
        r"""The time step below which no step increases the energy, whatever the state.

        .. math::
            \frac{2}{\lambda \ell}, \qquad \lambda = \frac{\max \gamma}{\sqrt \epsilon}, \qquad
            \ell = 2 \sqrt{d_\mathrm{out}} \sum_h \max \lVert W^{Q\top}_h W^K_h \rVert_2

        :math:`\lambda` is the Lipschitz constant of g and :math:`\ell` bounds the curvature of E
        from above, with the largest out-degree :math:`d_\mathrm{out}`. A step is one of mirror
        descent, and g is co-coercive: :math:`E^+ - E \le -(\frac{1}{\lambda dt} -
        \frac{\ell}{2}) \lVert g^+ - g \rVert^2`. Memories are concave and need no limit.
        """
        query, key, _, gain, _, _ = _weights(drive)
        steepness = float(gain.max()) / sqrt(self.epsilon)
        degree = self.graph.out_degree
        widest = int(degree.max()) if len(degree) else 0
        curvature = 2 * sqrt(widest) * _coupling(query, key)
        return min(LARGEST_LIMIT, 2 / max(steepness * curvature, 2 / LARGEST_LIMIT))

    @property
    def _beta(self) -> float:
        assert self.beta is not None
        return self.beta

    def _heads(self, g: Tensor, weight: Tensor) -> Tensor:
        """Queries or keys, ``[N, B, H, D]``."""
        return _mapped(g, _matrix(weight)).unflatten(-1, weight.shape[-2:])


def _weights(drive: Drive) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None]:
    query, key, memory, gain, offset, *bias = drive.shared
    return query, key, memory, gain, offset, bias[0] if bias else None


def _matrix(weight: Tensor) -> Tensor:
    """The maps of all heads side by side: ``[C, H * D]`` or ``[N, C, H * D]``."""
    return weight.flatten(-2)


def _mapped(x: Tensor, weight: Tensor) -> Tensor:
    """``x [N, B, Cin]`` by shared weights ``[Cin, Cout]`` or those of every column."""
    return x @ weight if weight.dim() == 2 else untied_linear(x, weight)


def _coupling(query: Tensor, key: Tensor) -> float:
    """Sum over heads of the largest norm of a product of maps; of norms where maps differ."""
    q, k = query.detach().movedim(-2, 0), key.detach().movedim(-2, 0)
    if query.dim() == key.dim() == 3:
        return float(torch.linalg.matrix_norm(q @ k.mT, 2).sum())
    largest = [torch.linalg.matrix_norm(w, 2).reshape(len(w), -1).amax(1) for w in (q, k)]
    return float((largest[0] * largest[1]).sum())
