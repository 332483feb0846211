"""The error of a prediction, from which Counter-Hebbian learning starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from graphcolumns.learning.backprop import Terms
from graphcolumns.nn.batches import Inputs


def error_of(
    model: Any, neurons: Mapping[str, Tensor], inputs: Inputs, targets: Tensor, terms: Terms
) -> tuple[Tensor, Tensor]:
    """The value of every term, and the gradient of their weighted sum by the prediction.

    Args:
        model: Model.
        neurons: Bottom-up neurons of all populations.
        inputs: Inputs of the model.
        targets: Targets.
        terms: Weight and term by name. Those with weight 0 are computed for the log.

    Raises:
        ValueError: A term with a weight has a gradient by something else than the prediction: by
            other populations, such as the state of the columns, or by parameters.
    """
    with torch.enable_grad():
        read = _Leaves(neurons)
        output = model.output(read, inputs)
        values = {name: term(model, output, targets) for name, (_, term) in terms.items()}
        weighted = {name: w * values[name] for name, (w, _) in terms.items() if w}
    top = read[model.prediction]
    below = [
        leaf for name, leaf in read.made.items() if name not in (model.prediction, model.input)
    ]
    others = [*below, *(p for p in model.parameters() if p.requires_grad)]
    error = torch.zeros_like(top)
    for name, value in weighted.items():
        if value.requires_grad:
            found, *strays = torch.autograd.grad(
                value, [top, *others], allow_unused=True, retain_graph=True
            )
            if any(stray is not None for stray in strays):
                raise ValueError(_stray(name))
            error = error if found is None else error + found
    each = torch.stack([value.detach().float() for value in values.values()])
    return each, error


class _Leaves(Mapping[str, Tensor]):
    """Neurons that gradients are taken by, made when they are read.

    Neurons of sub-networks are put together only then, and most populations are not read.
    """

    def __init__(self, neurons: Mapping[str, Tensor]) -> None:
        self.neurons = neurons
        self.made: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.made:
            self.made[name] = self.neurons[name].detach().requires_grad_()
        return self.made[name]

    def __contains__(self, name: object) -> bool:
        return name in self.neurons

    def __iter__(self) -> Iterator[str]:
        return iter(self.neurons)

    def __len__(self) -> int:
        return len(self.neurons)


def _stray(name: str) -> str:
    return (
        "counter_hebb learns from the error of the prediction, which is all that enters the "
        f"top-down stream. Expected terms of the prediction alone. Got {name!r}, which depends on "
        "the state or on parameters too; set its weight to 0, or pass learn=backprop."
    )
