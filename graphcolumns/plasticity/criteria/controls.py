"""Controls: chance, length and age, against which other criteria are measured."""

import torch
from torch import Tensor

from graphcolumns.connect.draws import log_kernel
from graphcolumns.graph.keys import pair_keys
from graphcolumns.plasticity.criteria.kind import require_edges
from graphcolumns.plasticity.probe.evidence import Evidence
from graphcolumns.random.counter import uniform


def chance(pairs: Evidence) -> Tensor:
    """Uniform numbers in (0, 1), a function of (seed, update, target, source) only.

    For edges and for candidates. The same pair draws the same number on any device and in any list.

    Args:
        pairs: Evidence on edges or candidates.

    Returns:
        ``[P]`` float64.

    Source: Mocanu et al. 2018 (https://doi.org/10.1038/s41467-018-04316-3, SET), who grow so.
    """
    keys = pair_keys(pairs.targets, pairs.sources, pairs.graph.num_sources)
    return uniform(pairs.seed, "score", pairs.update, keys).to(pairs.targets.device)


def length(pairs: Evidence) -> Tensor:
    r"""The length, shortest worth most, :math:`S = -d_{ij}`.

    The longest edges are dropped, or the shortest candidates grown.

    Args:
        pairs: Evidence on edges or candidates.

    Returns:
        ``[P]``, in the unit of the geometry.

    Raises:
        ValueError: There is no geometry, and the graph is not measured.

    Source: Mészáros et al. 2025, where length says about as well as weight which edges a spatial
    network can miss.
    """
    return -pairs.distance


def distance_kernel(pairs: Evidence, kernel: str = "exponential", length: float = 1.0) -> Tensor:
    r"""The logarithm of a kernel of distance, :math:`G = \log k(d_{ij})`; highest grown.

    ``exponential``: :math:`-d / l`, the exponential distance rule of cortex; ``gaussian``:
    :math:`-d^2 / 2 l^2`; ``power``: :math:`-2 \log(1 + d / l)`. With Gumbel noise added, candidates
    grow with probability :math:`k(d)`. For edges and candidates.

    Args:
        pairs: Evidence on edges or candidates.
        kernel: Name of the kernel, as in ``connect.distance_decay``.
        length: Length scale :math:`l`, in the unit of the geometry.

    Returns:
        ``[P]``, at most 0.

    Raises:
        ValueError: Another kernel, a length that is not positive, or no geometry.

    Source: Ercsey-Ravasz et al. 2013 (https://doi.org/10.1016/j.neuron.2013.07.036).
    """
    if not length > 0:
        raise ValueError(f"the length of a kernel must be above 0. Got {length}.")
    values = log_kernel(kernel, length)(pairs.distance.detach().cpu().double().numpy())
    return torch.from_numpy(values).to(pairs.distance)


def age(edges: Evidence, oldest_first: bool = False) -> Tensor:
    """The number of updates that an edge has survived; the youngest are dropped first.

    Args:
        edges: Evidence on the edges.
        oldest_first: Whether to drop the oldest first instead.

    Returns:
        ``[E]``, in updates; negative with ``oldest_first``.

    Raises:
        ValueError: Candidates instead of edges.
    """
    require_edges(edges, "age")
    aged = edges.age.to(torch.get_default_dtype())
    return -aged if oldest_first else aged
