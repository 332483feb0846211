"""Folds of a training half."""

from __future__ import annotations

import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from graphcolumns.data.task import Task


def strata_of(task: Task, targets: Tensor) -> Tensor:
    """What folds are stratified by: the class of every sample, or nothing, ``[n]`` int64."""
    if task.answers == "classes":
        return targets.cpu()
    return torch.zeros(len(targets), dtype=torch.long)


def fold_of(strata: Tensor, fold: int, folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """The samples of all folds but one, and those of that one.

    Args:
        strata: Stratum of every sample, ``[n]`` int64.
        fold: Fold that is returned second, in ``[0, folds)``.
        folds: Number of folds, at least 2.
        seed: Seed of the order in which samples are dealt to folds.

    Returns:
        Positions of both, int64.

    Raises:
        ValueError: ``fold`` out of range, or a stratum with fewer samples than folds.
    """
    if folds < 2 or not 0 <= fold < folds:
        raise ValueError(f"fold must be in [0, folds) with folds >= 2. Got {fold} of {folds}.")
    smallest = int(strata.bincount()[strata.unique()].min())
    if smallest < folds:
        raise ValueError(
            f"each class needs at least folds={folds} training samples. "
            f"The rarest has {smallest}; lower folds or raise train_size."
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    train, held = list(splitter.split(strata.numpy(), strata.numpy()))[fold]
    return torch.from_numpy(train), torch.from_numpy(held)
