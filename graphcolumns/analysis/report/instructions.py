"""The chapter of a report about what instructions select."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from graphcolumns.analysis.figures.sub_networks import open_columns, open_shares
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.report.chapter import Chapter
from graphcolumns.analysis.sub_networks import SubNetworks, has_gates, sub_networks
from graphcolumns.data import Dataset


def instruction_chapter(
    model: nn.Module, seen: Observation, data: Dataset, permutation: Tensor | None = None
) -> Chapter | None:
    """The sub-networks of all tasks; None for a model without gates.

    Args:
        model: Trained model.
        seen: Observation of it.
        data: Data set, whose task may name its instructions.
        permutation: The user's id of each column of the model, ``[N]``.
    """
    if not has_gates(model):
        return None
    found = sub_networks(model)
    count = len(next(iter(found.gates.values())))
    groups = data.task.groups
    names = list(groups) if len(groups) == count else [f"task {t}" for t in range(count)]
    pictures = [open_shares(found, names), open_columns(found, seen, names, permutation)]
    kept = [picture for picture in pictures if picture is not None]
    return Chapter(_text(found), kept, "instructions", "What an instruction selects")


def _text(found: SubNetworks) -> str:
    """The sub-networks in numbers."""
    gates = list(found.gates.values())
    tasks, neurons = len(gates[0]), sum(gate[0].numel() for gate in gates)
    shares = np.mean([share.mean().item() for share in found.shares.values()])
    said = (
        f"Each of {tasks} instructions opens a sub-network of {neurons:,} neurons, on average "
        f"{shares:.0%} of a population."
    )
    if tasks < 2:
        return said
    pairs = np.triu_indices(tasks, 1)
    overlap = np.nanmean([each.numpy()[pairs].mean() for each in found.overlaps().values()])
    return f"{said} Two of them share {overlap:.0%} of what either opens (IoU)."
