"""Layers of a backbone that predict best, by validation samples of the training half."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from tqdm import tqdm

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.streamed import StreamedDataset


class LayerChoice(NamedTuple):
    """Layers by their scores on validation samples.

    Attributes:
        chosen: Names of the best layers, the best first.
        mean: Mean score of every layer over folds, in the order in which layers were given.
        scores: Score of every layer in each fold.
    """

    chosen: tuple[str, ...]
    mean: dict[str, float]
    scores: dict[str, tuple[float, ...]]


def choose_layers(
    layers: Mapping[str, Dataset | StreamedDataset],
    score: Callable[[Any], float],
    *,
    count: int = 1,
    held: Sequence[int] = (0,),
    folds: int = 5,
    seed: int = 0,
    progress: bool = False,
) -> LayerChoice:
    """Scores each layer on validation samples, and takes the best.

    The held-out half is never read: ``score`` gets ``data.validation(fold)``, whose two halves are
    both of the training half. Every layer is scored on the same samples.

    Args:
        layers: Data set of each layer by its name: its features as inputs, the same targets.
        score: Function of a data set that fits on its half ``"train"`` and returns a number of its
            half ``"test"``, higher is better.
        count: Number of layers to take.
        held: Folds to score, each in ``[0, folds)``; scores are means over them.
        folds: Number of folds that the training half is dealt to.
        seed: Seed of the order in which samples are dealt to folds.
        progress: Whether to show a bar.

    Raises:
        ValueError: Fewer layers than are to be taken, no fold, layers with other numbers of
            training samples, or a score that is not finite.
    """
    if not 1 <= count <= len(layers) or not held:
        raise ValueError(
            f"count must be at least 1 and at most the number of layers, {len(layers)}, and held "
            f"must name at least one fold. Got {count} and {list(held)}."
        )
    sizes = {name: data.size("train") for name, data in layers.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ValueError(f"layers must have the same training samples. Got {listed}.")
    scores = {
        name: tuple(_score(name, data.validation(fold, folds, seed), score) for fold in held)
        for name, data in tqdm(layers.items(), desc="layers", disable=not progress)
    }
    mean = {name: sum(values) / len(values) for name, values in scores.items()}
    ranked = sorted(mean, key=lambda name: -mean[name])
    return LayerChoice(tuple(ranked[:count]), mean, scores)


def _score(name: str, data: Dataset | StreamedDataset, score: Callable[[Any], float]) -> float:
    value = float(score(data))
    if not isfinite(value):
        raise ValueError(f"score must return a finite number. Got {value} for the layer {name!r}.")
    return value
