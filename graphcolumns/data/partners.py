"""The columns that each column has to receive from: near and far partners, drawn at random."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def partners(
    height: int,
    width: int,
    far: float = 0.5,
    local: float = 0.0,
    context: int = 2,
    near: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """Draw the columns that each column has to receive from.

    Far partners are all different: an assignment of least random cost among the pairs that are
    far enough apart. Near partners are any columns near enough, all equally likely.

    Args:
        height: Number of rows.
        width: Number of columns per row.
        far: Least distance of a far partner, as a share of the longer side.
        local: Share of the columns whose first partner is near.
        context: Number of near partners besides.
        near: Largest distance of a near partner, in pixels.
        seed: Seed of the draw.

    Returns:
        ``[height * width, 1 + context]`` int64, ids row by row; first the partner, then the
        context.

    Raises:
        ValueError: A number out of range, or no such partners.
    """
    if min(height, width) < 1 or height * width < 2:
        raise ValueError(f"partners need at least two columns. Got {height} x {width}.")
    if not 0 <= local <= 1 or not 0 < far < float("inf") or context < 0:
        raise ValueError(
            "need local in [0, 1], far above 0 and context of at least 0. "
            f"Got local={local}, far={far}, context={context}."
        )
    reach = far * max(height, width)
    if reach <= near:
        raise ValueError(f"far={far} ({reach:g} pixels) must be above near={near}.")
    generator = torch.Generator().manual_seed(seed)
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width)).double()
    distance = torch.cdist(places, places)
    order = torch.randperm(len(places), generator=generator)
    at_home, away = order.tensor_split([round(local * len(places))])
    weight = torch.rand(distance.shape, generator=generator, dtype=torch.float64)
    chosen = torch.empty(len(places), 1 + context, dtype=torch.int64)
    chosen[at_home] = _near(weight[at_home], distance[at_home], near, 1 + context)
    chosen[away, 1:] = _near(weight[away], distance[away], near, context)
    chosen[away, 0] = _far(weight[away], distance[away] >= reach, f"far={far} ({reach:g} pixels)")
    return chosen


def _far(cost: Tensor, allowed: Tensor, rule: str) -> Tensor:
    """A different source for each row, from the allowed ones."""
    priced = np.where(allowed.numpy(), cost.numpy(), np.inf)
    try:
        _, sources = linear_sum_assignment(priced)
    except ValueError as error:  # scipy: infeasible
        raise ValueError(
            f"each far column needs a partner of its own. None fit {rule}; lower far, or take a "
            "larger sheet."
        ) from error
    return torch.from_numpy(sources)


def _near(weight: Tensor, distance: Tensor, near: float, count: int) -> Tensor:
    """So many different near sources for each row, those of the largest weights."""
    allowed = (distance > 0) & (distance <= near)
    fewest = int(allowed.sum(1).min()) if len(allowed) else count
    if fewest < count:
        raise ValueError(
            f"each column needs {count} near partners. Some have {fewest} columns within "
            f"near={near} pixels; raise near."
        )
    return torch.where(allowed, weight, -1.0).topk(count, dim=1).indices
