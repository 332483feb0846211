"""Activity: which columns are active together."""

import torch
from torch import Tensor

from graphcolumns.plasticity.criteria.kind import require_same_columns
from graphcolumns.plasticity.probe.evidence import Evidence

# Pairs at a time.
CHUNK = 2**16


def hebbian(pairs: Evidence) -> Tensor:
    r"""Columns that are active together, :math:`G = \mathrm{corr}_b(r_i, r_j)`; highest grown.

    Pearson's correlation over samples of the size :math:`r` of the columns' last states; a column
    that never changes correlates with none (0). For edges and candidates. Memory is
    ``O(N B + CHUNK B)``.

    Args:
        pairs: Evidence on edges or candidates.

    Returns:
        ``[P]``, in [-1, 1].

    Raises:
        ValueError: The graph is bipartite, or the model gives no state.

    Source: Hebb 1949; growth by correlation in sparse training: Dai et al. 2019
    (https://arxiv.org/abs/1711.02017).
    """
    require_same_columns(pairs.graph, "hebbian")
    activity = pairs.activity
    centred = activity - activity.mean(1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    # What rounding leaves of a constant is no activity.
    constant = norm <= 1e-6 * activity.norm(dim=1, keepdim=True)
    unit = torch.where(constant, 0.0, centred / norm.masked_fill(constant, 1.0))
    ends = zip(pairs.targets.split(CHUNK), pairs.sources.split(CHUNK), strict=True)
    return torch.cat([(unit.index_select(0, i) * unit.index_select(0, j)).sum(1) for i, j in ends])
