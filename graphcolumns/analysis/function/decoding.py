"""Linear decoding of labels from the state of every column, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.analysis.function.checks import class_numbers
from graphcolumns.analysis.function.model_states import ModelStates
from graphcolumns.nn.checks import check_counts


class ProbeTransfer(NamedTuple):
    """How well a linear probe of one column reads the others.

    Attributes:
        accuracy: Share of correct answers on samples that no probe was fitted to, ``[N, N]``
            float64: probe of the row's column, state of the column's column.
        chance: Share of the most frequent class among these samples.
        samples: Number of these samples.
    """

    accuracy: Tensor
    chance: float
    samples: int


def probe_transfer(
    states: ModelStates,
    labels: Tensor,
    *,
    step: int = -1,
    ridge: float = 1.0,
    folds: int = 2,
    seed: int = 0,
) -> ProbeTransfer:
    """Fit a linear probe to each column and test it on every column.

    The probe is the ridge classifier of scikit-learn: least squares to +1 and -1 of every class,
    the largest is the answer. All but one of ``folds`` parts of the samples, with as many of each
    class, are fitted to, and the last part is tested on. A high diagonal with low values beside it
    says that columns hold the label in codes of their own, as columns with weights of their own
    may: their channels have no common meaning.

    Args:
        states: States of ``N`` columns with all channels.
        labels: Classes, ``[S]`` int64.
        step: Number of the step, as in ``ModelStates.at``.
        ridge: Weight of the squared norm of the probe, above 0, in squared units of states.
        folds: Number of parts, at least 2.
        seed: Seed of the parts.

    Raises:
        ValueError: Labels of other samples, one class, fewer samples of a class than parts, a
            ridge that is not above 0, or no such step.
        TypeError: Labels that are not int64.
    """
    values = states.at(step).double()
    numbers = class_numbers(labels, values.shape[1])
    check_ridge(ridge)
    held = sample_parts(numbers, folds, seed) == 0
    weight, bias = ridge_probes(values[:, ~held], numbers[~held], ridge)
    tested, truth = values[:, held], numbers[held]
    rows = [
        ((tested @ w + b).argmax(-1) == truth).double().mean(-1)
        for w, b in zip(weight, bias, strict=True)
    ]
    chance = float(truth.bincount().max()) / len(truth)
    return ProbeTransfer(torch.stack(rows), chance, len(truth))


def decoding_accuracy(
    states: Tensor, labels: Tensor, *, ridge: float = 1.0, folds: int = 5, seed: int = 0
) -> Tensor:
    """Cross-validated accuracy of a ridge classifier on the state of every column.

    Args:
        states: States after one step, ``[N, S, C]``.
        labels: Classes, ``[S]`` int64.
        ridge: Weight of the squared norm of the probe, above 0, in squared units of states.
        folds: Number of parts; each is tested on once.
        seed: Seed of the parts.

    Returns:
        Share of correct answers, ``[N]`` float64.

    Raises:
        ValueError: As :func:`probe_transfer`.
        TypeError: Labels that are not int64.
    """
    numbers, values = class_numbers(labels, states.shape[1]), states.double()
    check_ridge(ridge)
    parts = sample_parts(numbers, folds, seed)
    correct = torch.zeros(len(values), dtype=torch.float64)
    for part in range(folds):
        held = parts == part
        weight, bias = ridge_probes(values[:, ~held], numbers[~held], ridge)
        answers = (values[:, held] @ weight + bias[:, None]).argmax(-1)
        correct += (answers == numbers[held]).double().sum(-1)
    return correct / len(numbers)


def ridge_probes(values: Tensor, labels: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Ridge classifiers of all columns at once.

    Args:
        values: States, ``[N, S, C]`` float64.
        labels: Classes from 0, ``[S]`` int64.
        ridge: Weight of the squared norm.

    Returns:
        Weights ``[N, C, K]`` and biases ``[N, K]``.
    """
    targets = 2.0 * torch.nn.functional.one_hot(labels).double() - 1
    centre, level = values.mean(1, keepdim=True), targets.mean(0)
    centred = values - centre
    gram = centred.mT @ centred
    gram = gram + ridge * torch.eye(gram.shape[-1], dtype=gram.dtype)
    weight = torch.linalg.solve(gram, centred.mT @ (targets - level))
    return weight, level - (centre @ weight)[:, 0]


def sample_parts(labels: Tensor, folds: int, seed: int) -> Tensor:
    """The part of every sample, ``[S]``, with as many samples of each class in each part.

    Raises:
        ValueError: Fewer than two parts, or fewer samples of a class than parts.
    """
    check_counts(folds=folds)
    counts = labels.bincount()
    if folds < 2 or int(counts.min()) < folds:
        raise ValueError(
            "folds must be at least 2 and at most the number of samples of the rarest class, "
            f"{int(counts.min())}. Got {folds}."
        )
    generator = torch.Generator().manual_seed(seed)
    parts = torch.empty_like(labels)
    for number in range(len(counts)):
        ids = (labels == number).nonzero()[:, 0]
        parts[ids[torch.randperm(len(ids), generator=generator)]] = torch.arange(len(ids)) % folds
    return parts


def check_ridge(ridge: float) -> None:
    """Raises ValueError for a ridge that is not a number above 0."""
    if not 0 < ridge < float("inf"):
        raise ValueError(f"ridge must be above 0 and finite. Got {ridge}.")
