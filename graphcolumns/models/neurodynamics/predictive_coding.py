"""A model that predicts by predictive coding, along edges that can be pruned and regrown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.neurodynamics.predictive_coding_initialiser import Initialiser
from graphcolumns.nn import EdgeLinear, keep_topology
from graphcolumns.nn.dynamics import Edges, Euler, Layer, PredictiveCoding, Skip, Unrolled, solve
from graphcolumns.nn.dynamics.predictive_coding.activation import ACTIVATIONS
from graphcolumns.nn.dynamics.predictive_coding.connection import Connection
from graphcolumns.nn.moved import moved
from graphcolumns.nn.protocols import ModelOutput


class Link(NamedTuple):
    """Predictions of one layer by another, along the edges of a graph.

    Attributes:
        source: Name of the layer that predicts, with the sources of the graph.
        target: Name of the layer that is predicted, with the columns of the graph.
        graph: Edges.
        activation: ``"identity"``, ``"tanh"`` or ``"relu"``.
        before: Whether the activation comes before the weights.
        scale: Factor of the prediction, or None: 1, with weights of variance 1 / in-degree; with a
            factor, weights start with variance 1.
    """

    source: str
    target: str
    graph: ColumnGraph
    activation: str = "identity"
    before: bool = False
    scale: float | None = None


class PredictiveCodingModel(nn.Module):
    r"""Layers of columns that predict each other along graphs; see :class:`PredictiveCoding`.

    Every unit is a column with one channel, every link a graph with one weight per edge: complete
    graphs are dense layers, others are sparse, and all can be rewired. Inputs are flattened and
    clamp the layer ``"input"``.

    Where layers have an order and predict the label, all errors are 0 at the feed-forward pass, and
    evaluation is that pass: one step, no inference. Otherwise (generative networks, cycles)
    evaluation infers: input clamped, label free, ``steps`` steps; networks with cycles are read
    after one more prediction of every layer, through which edges are scored.

    Args:
        layers: Layers by name, of shape ``(N, 1)``, with ``"input"`` and the label.
        links: Links by name, which is that of the graph in ``graphs``; the first is rewired by
            default.
        label: Name of the layer that is clamped to the targets while learning, and read otherwise.
        skips: Pairs of layers (source, target) of which one also predicts the other by a copy.
        steps: Steps of inference at evaluation.
        dt: Time step of inference at evaluation.
        bias: Whether predicted columns, but those of the input, have a bias.
        initialiser: Widths of an amortised first guess from the input to the label, see
            :class:`Initialiser`: names of the layers that it guesses, or empty.

    Shapes:
        - inputs: ``[B, ...]``
        - prediction: ``[B, K]``
        - state: ``[N, B, 1]``, of the last layer before the label

    Raises:
        ValueError: Layers and links that do not fit, see :class:`PredictiveCoding`, no layer
            ``"input"``, an unknown activation.

    Source: as :class:`PredictiveCoding`.
    """

    def __init__(
        self,
        layers: Mapping[str, Layer],
        links: Mapping[str, Link],
        *,
        label: str = "label",
        skips: Sequence[tuple[str, str]] = (),
        steps: int = 50,
        dt: float = 0.1,
        bias: bool = True,
        initialiser: Sequence[str] = (),
    ) -> None:
        super().__init__()
        for name in ("input", label):
            if name not in layers:
                raise ValueError(f"layers must have {name!r}. Got {', '.join(map(repr, layers))}.")
        self.layers, self.label, self.skips = dict(layers), label, tuple(skips)
        self.steps, self.dt = steps, dt
        self.graphs = {name: link.graph.named(name) for name, link in links.items()}
        self.links = {name: link._replace(graph=self.graphs[name]) for name, link in links.items()}
        for link in links.values():
            if link.activation not in ACTIVATIONS:
                raise ValueError(
                    f"activation must be one of {', '.join(ACTIVATIONS)}. Got {link.activation!r}."
                )
        self.synapses = nn.ModuleDict({n: EdgeLinear(g) for n, g in self.graphs.items()})
        biased = {link.target: name for name, link in links.items() if link.target != "input"}
        self.biases = nn.ParameterDict(
            {n: nn.Parameter(torch.zeros(self.layers[t].sizes[0])) for t, n in biased.items()}
            if bias
            else {}
        )
        self._reversed: dict[str, tuple[ColumnGraph, ColumnGraph]] = {}
        self.initialiser = None
        if initialiser:
            sizes = [self.layers[name].sizes[0] for name in ("input", *initialiser)]
            self.initialiser = Initialiser(("input", *initialiser), sizes)
        self.reset_parameters()
        self.circuit()
        keep_topology(self)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights."""
        for name, link in self.links.items():
            synapses = self._synapses(name)
            synapses.reset_parameters()
            if link.scale is not None:
                synapses.weight.normal_()
        for value in self.biases.values():
            value.zero_()

    @property
    def graph(self) -> ColumnGraph:
        """The first graph."""
        return next(iter(self.graphs.values()))

    def rewired(self, graph: ColumnGraph, name: str | None = None) -> None:
        """Takes other edges in place of a graph of the same name."""
        name = next(iter(self.graphs)) if name is None else name
        self.graphs[name] = graph
        self.links[name] = self.links[name]._replace(graph=graph)

    def circuit(
        self,
        *,
        form: Literal["state", "error"] = "state",
        output_precision: float | None = None,
        labelled: bool = True,
    ) -> PredictiveCoding:
        """The network with the present weights.

        Args:
            form: Variables of inference.
            output_precision: Precision of the label (default: that of its layer).
            labelled: Whether the label is clamped; free, its error is squared.
        """
        layers, links = dict(self.layers), self._connections()
        own = layers[self.label]
        precision = own.precision if output_precision is None else output_precision
        loss = own.loss if labelled else "squared"
        layers[self.label] = Layer(own.sizes, precision, own.shrinkage, own.nonnegative, loss)
        clamped = ("input", self.label) if labelled else ("input",)
        return PredictiveCoding(layers, links, clamped, form, None if labelled else self.label)

    def clamps(self, inputs: Tensor) -> dict[str, Tensor]:
        """Values of the layer ``"input"``, ``[N, B, 1]``."""
        return {"input": inputs.flatten(1).T[..., None]}

    def forward(self, inputs: Tensor) -> ModelOutput:
        """The feed-forward pass, or inference where there is none."""
        circuit = self.circuit(labelled=False)
        if circuit.order is not None and self.label in circuit.predicted:
            return self._feedforward(circuit, inputs)
        start = None if self.initialiser is None else self._start(circuit)
        found = solve(
            circuit, self.clamps(inputs), method=Euler(self.dt, allow_unstable=True), start=start,
            max_steps=self.steps, every=min(10, self.steps), gradient=Unrolled(),
        )  # fmt: skip
        values = circuit.values(found.state, found.drive)
        if self.label in circuit.predicted:
            # Where inference has arrived this changes nothing; it lets edges be scored.
            for name in (n for n in circuit.free if n in circuit.predicted):
                values[name] = self._predicted(name, values)
        return self._output(circuit, values, found.energy, found.iterations)

    def describe(self) -> str:
        """What the model is, in one sentence."""
        count = sum(p.numel() for p in self.parameters())
        parts = [f"{name} ({link.source} to {link.target})" for name, link in self.links.items()]
        return (
            f"A predictive coding network of {len(self.layers)} layers with {count:,} parameters; "
            f"predictions along {', '.join(parts)}."
        )

    def _connections(self) -> list[Connection]:
        links: list[Connection] = []
        for name, link in self.links.items():
            graph, synapses = self.graphs[name], self._synapses(name)
            links.append(
                Edges(
                    link.source, link.target, ACTIVATIONS[link.activation], link.before,
                    1.0 if link.scale is None else link.scale,
                    graph=graph, weight=synapses.weight, bias=self._bias(name),
                    reverse=self._reverse(name, graph),
                )
            )  # fmt: skip
        return links + [Skip(source, target) for source, target in self.skips]

    def _synapses(self, name: str) -> EdgeLinear:
        return cast(EdgeLinear, self.synapses[name])

    def _bias(self, name: str) -> Tensor | None:
        return self.biases[name] if name in self.biases else None

    def _reverse(self, name: str, graph: ColumnGraph) -> ColumnGraph:
        """The graph turned round, computed once for every topology."""
        known = self._reversed.get(name)
        if known is None or known[0] is not graph:
            known = self._reversed[name] = (graph, graph.reverse())
        return known[1]

    def _feedforward(self, circuit: PredictiveCoding, inputs: Tensor) -> ModelOutput:
        """Layers in order, through the modules with weights, which record what they compute."""
        values = self.clamps(inputs)
        assert circuit.order is not None
        for target in circuit.order:
            if target not in values:
                values[target] = self._predicted(target, values)
        return self._output(circuit, values)

    def _predicted(self, target: str, values: Mapping[str, Tensor]) -> Tensor:
        """The prediction of a layer, through the modules with weights."""
        parts = [values[s] for s, t in self.skips if t == target]
        for name, link in self.links.items():
            if link.target == target:
                parts.append(self._predict(name, link, values[link.source]))
        return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]

    def _predict(self, name: str, link: Link, x: Tensor) -> Tensor:
        f = ACTIVATIONS[link.activation].function
        out = self.synapses[name](f(x) if link.before else x, self.graphs[name])
        bias = self._bias(name)
        out = out if bias is None else out + bias[:, None, None]
        out = out if link.scale is None else link.scale * out
        return out if link.before else f(out)

    def _start(self, circuit: PredictiveCoding) -> Any:
        initialiser = self.initialiser
        assert initialiser is not None

        def start(inputs: dict[str, Tensor], drive: Any) -> Any:
            zeros = circuit.values(circuit.initial(drive), drive)
            return circuit.state_of(zeros | initialiser(inputs["input"]), drive)

        return start

    def _output(
        self,
        circuit: PredictiveCoding,
        values: Mapping[str, Tensor],
        energy: Tensor | None = None,
        iterations: Tensor | None = None,
    ) -> ModelOutput:
        hidden = [name for name in circuit.free if name != self.label]
        state = values[hidden[-1]] if hidden else None
        prediction = values[self.label][..., 0].T
        return ModelOutput(prediction, state, energy=energy, iterations=iterations)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves the graphs along with the module."""
        super()._apply(fn, recurse)
        for name, graph in list(self.graphs.items()):
            self.rewired(moved(graph, fn), name)
            known = self._reversed.get(name)
            if known is not None and known[0] is graph:
                self._reversed[name] = (self.graphs[name], moved(known[1], fn))
        return self
