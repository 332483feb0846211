"""Heads and instructions on top of a trunk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import torch

from graphcolumns.connect import complete_between
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.top_down import (
    Feedback,
    Population,
    Projection,
    Reshape,
    TopDownEdges,
    TopDownNetwork,
)

Instruction = Literal["gates", "gates_and_heads", "input", "heads", "separate", "none"]
# Roles in which there are gates, and in which every task has a head.
GATED, HEADED = ("gates", "gates_and_heads"), ("gates_and_heads", "heads", "separate")


def instructed(
    trunk: Callable[[str], Trunk],
    num_outputs: int,
    num_instructions: int | None = None,
    *,
    instruction: Instruction = "gates",
    task_embedding: int | None = None,
    sweeps: int = 1,
    feedback: Feedback = "tied",
    bias: bool = True,
    top_down_bias: bool = False,
) -> BottomUpTopDown:
    """Puts a prediction and an instruction on a trunk: the options that all builders share.

    =================== ====================================================================
    instruction         what the instruction does
    =================== ====================================================================
    ``gates``           selects a sub-network: the top-down pass from the task opens gates
    ``gates_and_heads`` and also the head that is read, one per task (several decoders)
    ``input``           comes from below, as a second input; there are no gates
    ``heads``           selects the head that is read, on a trunk that all tasks share
                        (unitary scalarisation: the loss is the plain sum over tasks)
    ``separate``        selects one of as many networks as there are tasks
    ``none``            is not seen
    =================== ====================================================================

    Args:
        trunk: Function of a prefix of names that makes the populations and projections up to the
            one that is read. Separate networks have the prefixes ``"task0/"``, ``"task1/"``, ...
        num_outputs: Number of values that are predicted, such as classes.
        num_instructions: Number of tasks, or of values of an instruction vector.
        instruction: Role of the instruction.
        task_embedding: Number of neurons between the task and the population that is read; None:
            the task projects to it directly.
        sweeps: Number of times that both streams run, see :class:`BottomUpTopDown`.
        feedback: Weights of top-down passes, see :class:`WeightedTopDownLayer`.
        bias: Whether neurons have a bias.
        top_down_bias: Whether the neurons of the task embedding have a top-down bias. Without gates
            no neuron has one.

    Raises:
        ValueError: Gates, an input, heads or separate networks without a number of instructions;
            an embedding without gates.

    Source: heads on a shared trunk: Kurin et al., In Defense of the Unitary Scalarization for Deep
    Multi-Task Learning, NeurIPS 2022, https://arxiv.org/abs/2201.04122.
    """
    tasks = _tasks(instruction, num_instructions, task_embedding)
    heads, gated = tasks if instruction in HEADED else 1, instruction in GATED
    populations: dict[str, Population] = {}
    projections: list[Projection] = []
    prefixes = [f"task{t}/" for t in range(tasks)] if instruction == "separate" else [""]
    for head, made in enumerate(map(trunk, prefixes)):
        populations |= made.populations
        projections += made.projections
        name, sources = _as_columns(made, populations, projections)
        graph = _head_graph(num_outputs, heads, sources, head if len(prefixes) > 1 else None)
        layer = TopDownEdges(graph.named(f"{prefixes[head]}prediction"), bias, feedback)
        projections.append(Projection(name, "prediction", layer))
        if gated:
            _add_task(name, tasks, task_embedding, top_down_bias, populations, projections)
        if instruction == "input":
            _add_task_input(made, tasks, populations, projections)
    populations["prediction"] = Population((num_outputs * heads, 1), "identity", columns=True)
    if not gated:
        # Top-down biases are added in instruction passes, and there are none.
        populations = {n: replace(each, top_down_bias=False) for n, each in populations.items()}
    return BottomUpTopDown(
        TopDownNetwork(populations, projections),
        task="task" if gated else None,
        task_input="task" if instruction == "input" else None,
        heads=heads,
        sweeps=sweeps,
    )


def _as_columns(
    trunk: Trunk, populations: dict[str, Population], projections: list[Projection]
) -> tuple[str, int]:
    """The population that is read, as columns of one channel, and their number."""
    last = populations[trunk.last]
    size = torch.Size(last.sizes).numel()
    if last.columns and last.sizes[1] == 1:
        return trunk.last, size
    name = f"{trunk.last}_flat"
    populations[name] = Population((size, 1), "identity", columns=True)
    projections.append(Projection(trunk.last, name, Reshape(last, populations[name])))
    return name, size


def _head_graph(outputs: int, heads: int, sources: int, head: int | None) -> ColumnGraph:
    """Edges to all heads, or to one of them."""
    if head is None:
        return complete_between(outputs * heads, sources)
    edges = complete_between(outputs, sources).edge_index
    edges = torch.stack([edges[0], edges[1] + head * outputs])
    return ColumnGraph.from_edge_index(edges, outputs * heads, num_sources=sources)


def _add_task(
    last: str,
    tasks: int,
    embedding: int | None,
    top_down_bias: bool,
    populations: dict[str, Population],
    projections: list[Projection],
) -> None:
    """The task above the population that is read, through an embedding or directly.

    These weights are passed from above only, so they have no bias and no weights of their own for
    the way down.
    """
    below = populations[last].sizes[0]
    if embedding is not None:
        name = "task_embedding"
        populations[name] = Population((embedding, 1), columns=True, top_down_bias=top_down_bias)
        projections.append(_dense(last, name, below, embedding))
        last, below = name, embedding
    populations["task"] = Population((tasks, 1), "identity", columns=True)
    projections.append(_dense(last, "task", below, tasks))


def _add_task_input(
    trunk: Trunk, tasks: int, populations: dict[str, Population], projections: list[Projection]
) -> None:
    """The task below the first hidden population."""
    populations["task"] = Population((tasks, 1), "identity", columns=True)
    first = populations[trunk.first]
    size = torch.Size(first.sizes).numel()
    name, layer = trunk.first, _dense("task", trunk.first, tasks, size)
    if first.columns and first.sizes[1] == 1:
        projections.append(layer)
        return
    name = f"{trunk.first}_instructed"
    populations[name] = Population((size, 1), "identity", columns=True)
    projections.append(_dense("task", name, tasks, size))
    projections.append(Projection(name, trunk.first, Reshape(populations[name], first)))


def _dense(source: str, target: str, sources: int, columns: int) -> Projection:
    graph = complete_between(columns, sources).named(f"{source}_{target}")
    return Projection(source, target, TopDownEdges(graph, bias=False))


def _tasks(instruction: str, given: int | None, embedding: int | None) -> int:
    """The number of tasks, 1 where there are no instructions."""
    check_choice("instruction", instruction, get_args(Instruction))
    if instruction not in GATED and embedding is not None:
        raise ValueError(
            "a task embedding is of networks with gates. Got "
            f"instruction={instruction!r}, task_embedding={embedding}; leave it out."
        )
    if instruction == "none":
        return 1
    if given is None:
        raise ValueError(
            f"instruction={instruction!r} needs a number of instructions. Got none: the data have "
            "no instruction; pass num_instructions=..., or instruction='none'."
        )
    check_counts(num_instructions=given)
    if embedding is not None:
        check_counts(task_embedding=embedding)
    return given
