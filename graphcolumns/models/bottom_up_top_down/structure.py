"""What a network must have, and which of its populations do what."""

from __future__ import annotations

import torch

from graphcolumns.nn.top_down import TopDownNetwork


def check_population(name: str, network: TopDownNetwork) -> None:
    """Raises ValueError unless a network has a population."""
    if name not in network.populations:
        raise ValueError(
            f"the network must have the population {name!r}. Expected one of "
            f"{', '.join(map(repr, network.populations))}."
        )


def check_different(*names: str | None) -> None:
    """Raises ValueError where a population has two roles."""
    given = [name for name in names if name is not None]
    if len(set(given)) < len(given):
        raise ValueError(
            "prediction, task, task_input and the input must be different populations. Got "
            f"{', '.join(map(repr, given))}."
        )


def _count(network: TopDownNetwork, name: str) -> int:
    return torch.Size(network.populations[name].sizes).numel()


def input_of(network: TopDownNetwork, task_input: str | None) -> str:
    """The population that nothing projects to, beside that of the instruction."""
    targets = {p.target for p in network.projections}
    inputs = [name for name in network.order if name not in {*targets, task_input}]
    if len(inputs) != 1:
        raise ValueError(
            f"a network must have one input population. Got {inputs}; name that of the "
            "instruction with task_input=..."
        )
    return inputs[0]


def last_columns(network: TopDownNetwork, prediction: str, image: str) -> str | None:
    """The last population of columns with gates below the prediction."""
    below, found = {prediction}, None
    for name in reversed(network.order):
        below |= {p.source for p in network.projections if p.target == name in below}
        population = network.populations[name]
        if name in below - {prediction, image} and population.columns and found is None:
            found = name if population.activation == "relu" else None
    return found


def count_instructions(
    network: TopDownNetwork, task: str | None, task_input: str | None, heads: int
) -> int:
    """The number of tasks, the same wherever an instruction arrives; 1 without instructions."""
    counts = {name: _count(network, name) for name in (task, task_input) if name is not None}
    if heads > 1:
        counts["heads"] = heads
    if len(set(counts.values())) > 1:
        raise ValueError(
            "the number of tasks must be the same everywhere. Got "
            f"{', '.join(f'{number} of {name}' for name, number in counts.items())}."
        )
    return next(iter(counts.values()), 1)


def check_heads(heads: int, prediction: str, network: TopDownNetwork) -> None:
    """Raises ValueError unless heads divide the population that is read."""
    values = _count(network, prediction)
    if values % heads:
        raise ValueError(
            f"heads must be parts of equal size of the prediction. Got {heads} of {values} values."
        )
