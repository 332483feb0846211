"""Which neurons every instruction opens, and how much instructions share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class SubNetworks(NamedTuple):
    """The sub-networks of all tasks of a model with gates.

    Attributes:
        gates: Whether each neuron is open for each task, by population, ``[T, ...]`` bool.
        columns: Names of the populations that are columns: their gates are ``[T, N, C]``.
    """

    gates: Mapping[str, Tensor]
    columns: tuple[str, ...]

    def __repr__(self) -> str:
        shares = {name: [round(s, 2) for s in of.tolist()] for name, of in self.shares.items()}
        return f"SubNetworks(shares={shares}, columns={self.columns})"

    @property
    def shares(self) -> dict[str, Tensor]:
        """Share of the neurons that is open, by population, ``[T]``."""
        return {name: _flat(gate).mean(1) for name, gate in self.gates.items()}

    def overlaps(self, kind: str = "iou") -> dict[str, Tensor]:
        r"""Overlap of every pair of tasks, by population, ``[T, T]``.

        Args:
            kind: ``"iou"``, intersection over union, :math:`|A \cap B| / |A \cup B|`; or
                ``"cosine"``, :math:`|A \cap B| / \sqrt{|A| |B|}`. NaN for empty sub-networks.

        Raises:
            ValueError: Another kind.
        """
        if kind not in ("iou", "cosine"):
            raise ValueError(f"kind must be 'iou' or 'cosine'. Got {kind!r}.")
        return {name: _overlap(_flat(gate), kind) for name, gate in self.gates.items()}


@torch.no_grad()
def sub_networks(model: nn.Module) -> SubNetworks:
    """The sub-network of every task, from an instruction pass for each of them.

    Args:
        model: A model with gates, such as ``models.bottom_up_top_down.BottomUpTopDown``. Of an
            instruction vector of several parts every value is taken by itself.

    Raises:
        TypeError: The model has no gates, or its instructions open none.

    Example:
        >>> from graphcolumns.analysis import sub_networks
        >>> from graphcolumns.models.bottom_up_top_down import layered_top_down
        >>> found = sub_networks(layered_top_down([64, 32, 10], num_instructions=2))
        >>> found.gates["hidden1"].shape
        torch.Size([2, 32, 1])
    """
    instructed: Any = model
    if not has_gates(model):
        raise TypeError(
            "sub-networks are those of a model with gates. Expected "
            "models.bottom_up_top_down.BottomUpTopDown with a task. Got "
            f"{type(model).__name__}" + ("." if not hasattr(model, "gates") else " without a task.")
        )
    tasks = instructed.num_instructions
    like = next(model.parameters())
    # Only the type and the number of samples of the image matter to an instruction pass.
    inputs = {
        instructed.image: like.new_zeros(tasks, 1),
        instructed.instruction: torch.arange(tasks, device=like.device),
    }
    populations = instructed.network.populations
    gates = {
        name: gate.movedim(populations[name].batch_dim, 0).bool().cpu()
        for name, gate in instructed.gates(inputs).items()
    }
    ordered = {name: gates[name] for name in instructed.network.order if name in gates}
    return SubNetworks(ordered, tuple(name for name in ordered if populations[name].columns))


def has_gates(model: nn.Module) -> bool:
    """Whether the instructions of a model open gates."""
    return callable(getattr(model, "gates", None)) and getattr(model, "task", None) is not None


def _flat(gate: Tensor) -> Tensor:
    return gate.flatten(1).double()


def _overlap(gate: Tensor, kind: str) -> Tensor:
    both, sizes = gate @ gate.T, gate.sum(1)
    if kind == "cosine":
        return both / (sizes[:, None] * sizes).sqrt()
    return both / (sizes[:, None] + sizes - both)
