"""Running a model while the activity of its columns and the weights of its edges are noted."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, num_samples, split_samples
from graphcolumns.nn.per_edge import edge_tensors
from graphcolumns.nn.protocols import graphs_of, prediction_of
from graphcolumns.nn.recording import AttentionRecord, LinearRecord, attention_mass, recording


@dataclass
class Watched:
    """What was noted, in the order of the model.

    Attributes:
        prediction: ``[S, ...]``.
        activity: ``[T, N]``, or None for a model without a state.
        attention: ``[T, E]`` of each graph that a layer attends along.
        weights: ``[E]`` of each graph that has weights of its edges.
    """

    prediction: Tensor
    activity: Tensor | None
    attention: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def num_columns(self) -> int:
        """``N``, or 0 for a model without a state."""
        return 0 if self.activity is None else self.activity.shape[1]


@torch.no_grad()
def watch(model: nn.Module, inputs: Inputs, batch_size: int) -> Watched:
    """Run a model in its present mode.

    Args:
        model: Model to run.
        inputs: Inputs of ``S`` samples, on the device of the model.
        batch_size: Samples at a time.
    """
    graphs, total = graphs_of(model), num_samples(inputs)
    predictions: list[Tensor] = []
    activity: Any = None
    attention: dict[str, Any] = defaultdict(int)
    weights: dict[str, Tensor] = {}
    for batch in split_samples(inputs, batch_size):
        share = num_samples(batch) / total
        with _records(model) as records:
            output = run_with_states(model, batch)
        predictions.append(prediction_of(output).float().cpu())
        states = _states(output, num_samples(batch))
        if states is not None:
            part = share * states.double().abs().flatten(3).mean((2, 3)).cpu()
            activity = part if activity is None else activity + part
        for name, mass in _attention(records, graphs).items():
            attention[name] = attention[name] + share * mass
        weights = weights or _weights(records, graphs)
    kept = _kept_weights(model, {k: g for k, g in graphs.items() if k not in attention})
    return Watched(torch.cat(predictions), activity, dict(attention), {**kept, **weights})


def run_with_states(model: nn.Module, inputs: Inputs) -> Any:
    """The output of a model, with the states after every step where it offers them."""
    offered = "return_states" in inspect.signature(model.forward).parameters
    return model(inputs, return_states=True) if offered else model(inputs)


def state_of(output: Any) -> Tensor | None:
    """The last state in an output, or None."""
    state = getattr(output, "state", None)
    return state if torch.is_tensor(state) else None


def device_of_model(model: nn.Module, default: Tensor) -> torch.device:
    """The device of a model; that of ``default`` if it keeps no tensor."""
    return next(chain(model.parameters(), model.buffers()), default).device


def _states(output: Any, samples: int) -> Tensor | None:
    """States ``[T, N, B, C]``, a single step if only the last one is there."""
    states, state = getattr(output, "states", None), state_of(output)
    if not torch.is_tensor(states):
        states = None if state is None else state[None]
    if states is None:
        return None
    if states.ndim < 4 or states.shape[2] != samples:
        raise ValueError(
            "the state of a model must be [N, B, C], and its states [T, N, B, C]: columns first, "
            f"then samples. Got {list(states.shape[states.ndim - 3 :])} for {samples} samples; "
            "transpose it, or leave it out of the output."
        )
    return states


@contextmanager
def _records(model: nn.Module) -> Iterator[list[Any]]:
    """Records of a pass; of a layer that keeps none, the graph and its ``edge_weights``."""
    with ExitStack() as stack:
        records: list[Any] = stack.enter_context(recording(model))
        before: list[int] = []

        def enter(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            before.append(len(records))

        def leave(module: Any, arguments: tuple[Any, ...], output: Any) -> None:
            if before.pop() == len(records):
                records.append((arguments[1], module.edge_weights(*arguments[:2])))

        for part in model.modules():
            if hasattr(part, "edge_weights"):
                stack.callback(part.register_forward_pre_hook(enter).remove)
                stack.callback(part.register_forward_hook(leave).remove)
        yield records


def _attention(records: list[Any], graphs: Mapping[str, ColumnGraph]) -> dict[str, Tensor]:
    """Mean weight of each edge over samples and heads, ``[T, E]`` for each graph."""
    steps: dict[str, list[Tensor]] = defaultdict(list)
    for record in records:
        if isinstance(record, LinearRecord):
            continue
        if isinstance(record, AttentionRecord):
            graph, mass = record.graph, attention_mass(record).double()
        else:
            graph, mass = record[0], record[1].double().mean((1, 2))
        name = _name_of(graph, graphs)
        if name is not None:
            steps[name].append(mass.cpu())
    return {name: torch.stack(masses) for name, masses in steps.items()}


def _weights(records: list[Any], graphs: Mapping[str, ColumnGraph]) -> dict[str, Tensor]:
    """Weights of linear layers, ``[E]`` for each graph: mean over records, heads and channels."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    for record in records:
        if isinstance(record, LinearRecord):
            name = _name_of(record.graph, graphs)
            if name is not None:
                found[name].append(_per_edge(record.weight))
    return {name: torch.stack(parts).mean(0) for name, parts in found.items()}


def _kept_weights(model: nn.Module, graphs: Mapping[str, ColumnGraph]) -> dict[str, Tensor]:
    """Parameters per edge, ``[E]`` for each graph along which layers keep no record."""
    found = {}
    for name, graph in graphs.items():
        parts = [_per_edge(kept.tensor) for kept in edge_tensors(model, graph)]
        if parts:
            found[name] = torch.stack(parts).mean(0)
    return found


def _per_edge(tensor: Tensor) -> Tensor:
    """One number per edge, ``[E]``: the mean over heads or channels."""
    return tensor.detach().double().reshape(len(tensor), -1).mean(1).cpu()


def _name_of(graph: ColumnGraph, graphs: Mapping[str, ColumnGraph]) -> str | None:
    """The name of a graph of the model."""
    same = [name for name, other in graphs.items() if other is graph]
    same += [name for name, other in graphs.items() if other.same_graph(graph)]
    return same[0] if same else None
