"""Pairs of columns that are not edges and may become ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import contains, pair_keys
from graphcolumns.plasticity.candidates.mesh_parts import joined_share
from graphcolumns.plasticity.candidates.proposals import Everything, Proposal
from graphcolumns.plasticity.selection.constraints import Constraints
from graphcolumns.random.counter import derive, uniform

ROUNDS = 6  # draws that turn out to be edges or repetitions are drawn anew this often
FEWEST_JOINED = 1 / 64  # of several parts of a mesh: no more than 64 draws per candidate


def draw_candidates(
    graph: ColumnGraph,
    proposal: Proposal,
    count: int,
    *,
    seed: int = 0,
    update: int = 0,
    constraints: Constraints | None = None,
    cooling_down: Tensor | None = None,
    parts: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw pairs that may grow: no edges, no repetition, nothing forbidden or without a path.

    Draws that do not count are made up for in further rounds. Of more than ``count`` pairs those of
    the earliest round stay, within a round chosen at random, so that no column is preferred.

    Args:
        graph: Edges as they are.
        proposal: Source of pairs, see ``graphcolumns.plasticity.candidates.proposals``.
        count: Number of candidates; fewer are returned if no more are found. With ``Everything``,
            all pairs are.
        seed: Seed of the run, 0 or above.
        update: Number of the update.
        constraints: Rules for the pairs that may grow (default: all but self-edges).
        cooling_down: Sorted keys of the pairs that may not grow yet, see ``CoolDown``.
        parts: Label of the part of the mesh in which each column lies, ``[N]``, see ``mesh_parts``:
            pairs of two parts have no length and are never candidates (default: all may be).

    Returns:
        Targets and sources ``[K]``, int64, on the device of the graph, sorted by (target, source).

    Raises:
        ValueError: A negative count or seed, or what a proposal refuses.
    """
    if count < 0:
        raise ValueError(f"count must not be negative. Got {count}.")
    rules = Constraints() if constraints is None else constraints
    everything = isinstance(proposal, Everything)
    found, wanted = torch.empty(0, dtype=torch.int64), count
    # Draws between parts do not count, so more are requested.
    joined = 1.0 if parts is None else max(joined_share(parts), FEWEST_JOINED)
    for round_ in range(1 if everything else ROUNDS):
        if wanted <= 0 and not everything:
            break
        requested = math.ceil(wanted / joined)
        drawn = proposal(graph, requested, derive(seed, "candidates", update), round_)
        allowed = rules.may_grow(graph, *drawn, cooling_down).cpu()
        if parts is not None:
            allowed &= parts[drawn.targets] == parts[drawn.sources]
        keys = pair_keys(drawn.targets[allowed], drawn.sources[allowed], graph.num_sources)
        found = _joined(found, keys, None if everything else wanted, seed, update, round_)
        wanted = count - len(found)
    found = found.sort().values.to(graph.device)
    return found // graph.num_sources, found % graph.num_sources


def _joined(
    found: Tensor, keys: Tensor, wanted: int | None, seed: int, update: int, round_: int
) -> Tensor:
    """The pairs found so far and the new ones, at most ``wanted`` of these."""
    new = keys.unique()
    new = new[~contains(found.sort().values, new)]
    if wanted is not None and len(new) > wanted:
        chance = uniform(derive(seed, "thin", update), "thin", round_, new)
        new = new[torch.argsort(chance, stable=True)[:wanted]]
    return torch.cat([found, new])
