"""Simulated responses with known routing: which token a region reads is part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from types import MappingProxyType
from typing import Any

from graphcolumns.data.brain.routing import FAMILIES, Routing
from graphcolumns.data.brain.simulate import DISTRACTOR_KINDS, RoutedOptions, Simulated, simulated
from graphcolumns.data.dataset import Dataset

REGIONS = MappingProxyType({"retinotopic": 3, "content": 3, "mixed": 2, "linear": 1, "noise": 1})


def routed_responses(
    size: int = 7,
    channels: int = 32,
    content: int = 16,
    regions: Mapping[str, int] = REGIONS,
    vertices: int = 12,
    distractors: int = 8,
    strength: float = 3.0,
    clutter: float = 0.3,
    field: float = 0.5,
    noise: float = 0.5,
    train_count: int = 2000,
    test_count: int = 1000,
    seed: int = 0,
) -> Dataset:
    r"""Responses of vertices to tokens on a grid of patches, of regions that route in known ways.

    **Tokens.** A grid of ``size`` x ``size`` patches has :math:`M` tokens of :math:`D`
    ``channels``. The first ``content`` of them hold what is at a place, the others which kind of
    object is there, all seen through one random rotation :math:`Q`:

    .. math::
        x_m = Q \begin{pmatrix} c_m \\ a \sum_j [m = p_j]\, e_{k_j} + \rho\, \xi_m \end{pmatrix},
        \qquad c_m, \xi_m \sim \mathcal N(0, I)

    Every token has content :math:`c_m`, with an object or without. Object :math:`j` of kind
    :math:`k_j` stands at :math:`p_j`, with strength :math:`a`; :math:`\rho` is the clutter. Each
    kind that a region reads occurs once per sample. The ``distractors`` are of four other kinds,
    drawn for each sample. All places are drawn uniformly, and differ.

    **Responses.** :math:`y_v = s_v + \sigma \varepsilon_v` with normal noise and a signal of
    variance 1, by the family of the region:

    - ``retinotopic``: :math:`s_v = w_v^\top \sum_m g_m c_m`, a receptive field that never moves,
      :math:`g_m \propto \exp(-|m - \mu|^2 / 2 f^2)` with :math:`\sum_m g_m^2 = 1`
    - ``content``: :math:`s_v = w_v^\top c_{p}`, where :math:`p` is the place of the one kind of
      object that the region reads
    - ``mixed``: the sum of both, with weights :math:`w_v` and :math:`w'_v`, divided by its standard
      deviation :math:`(2 + 2\, w_v^\top w'_v \sum_m g_m / M)^{1/2}`
    - ``linear``: :math:`s_v = \sum_m w_{vm}^\top c_m`, weights of its own for every token
    - ``noise``: nothing; the noise has variance :math:`1 + \sigma^2`, as the others in all

    All weights are drawn from the sphere, :math:`|w_v| = 1`. The centre :math:`\mu` and the kind
    are those of the region, the weights those of the vertex.

    **The noise ceilings are exact.** The variances above are those of the distribution, so the
    ceiling is :math:`1 / (1 + \sigma^2)`, and 0 for regions of noise. A model that knows the places
    reaches it; with little clutter they can be read off the tokens.

    **No linear function of the tokens reads a content-routed region.** The covariance of
    :math:`s_v` and :math:`c_m` is :math:`w_v P(p = m) = w_v / M`, so that the best of them explains
    the share :math:`1 / M` of the signal: 0.02 for 49 tokens, with any number of samples. See
    ``Routing.linear_limit``.

    Args:
        size: Number of patches along a side of the grid, ``M = size ** 2``.
        channels: Number of channels of a token, ``D``.
        content: Number of channels of the content.
        regions: Number of regions of each family.
        vertices: Number of vertices of each region.
        distractors: Number of objects per sample that no region reads.
        strength: Length of the vector that says which kind of object is there, ``a``.
        clutter: Standard deviation of the noise on that vector, ``rho``.
        field: Standard deviation of receptive fields in patches, ``f``.
        noise: Standard deviation of the noise of responses, ``sigma``.
        train_count: Number of training samples. World and test samples do not depend on it.
        test_count: Number of test samples.
        seed: Seed of everything that is drawn.

    Returns:
        Task :class:`~graphcolumns.data.Regression` with regions and noise ceilings: inputs
        ``{"features": [n, M, D]}``, row by row, and targets ``[n, V]``. :func:`routing_of` has the
        truth.

    Raises:
        ValueError: A number is out of range, a family unknown, or there is no room for the objects
            or for their kinds.

    Example:
        >>> from graphcolumns.data.brain import routed_responses, routing_of
        >>> data = routed_responses(train_count=100, test_count=50)
        >>> data.train_inputs["features"].shape, data.task.regions
        (torch.Size([100, 49, 32]), Regions(10 regions of 120 vertices))
        >>> routing_of(train_count=100, test_count=50).test_places.shape
        torch.Size([50, 10])

    Source: own construction, after the claim that attention routes features by content, Adeli et
        al., Transformer brain encoders explain human high-level visual responses, NeurIPS 2025,
        https://arxiv.org/abs/2505.17329.
    """
    return _checked(**locals()).data


def routing_of(**options: Any) -> Routing:
    """Where every region of ``routed_responses`` reads, in each sample ``[n, M, D]`` of its tokens.

    Args:
        options: Arguments of the same call of ``routed_responses``.
    """
    arguments = signature(routed_responses).bind(**options)
    arguments.apply_defaults()
    return _checked(**arguments.arguments).routing


def _checked(**options: Any) -> Simulated:
    given = RoutedOptions(**options)
    _check(given)
    _check_scales(given)
    return simulated(given)


def _check(o: RoutedOptions) -> None:
    unknown = [family for family in o.regions if family not in FAMILIES]
    if unknown:
        raise ValueError(
            f"regions must be of the families {', '.join(map(repr, FAMILIES))}. Got {unknown[0]!r}."
        )
    counts = list(o.regions.values())
    if min(counts, default=-1) < 0 or not sum(counts) or o.vertices < 1:
        raise ValueError(
            "there must be a region, with a vertex or more. "
            f"Got regions={dict(o.regions)}, vertices={o.vertices}."
        )
    if o.distractors < 0 or o.kinds + o.distractors > o.size**2:
        raise ValueError(
            f"objects must have places of their own. Expected at most {o.size**2}. "
            f"Got {o.kinds} that are read and distractors={o.distractors}."
        )
    if o.content < 1 or o.channels < o.content + o.kinds + DISTRACTOR_KINDS:
        raise ValueError(
            "channels must have room for the content and for a channel per kind. Expected "
            f"content >= 1 and channels >= {max(o.content, 1) + o.kinds + DISTRACTOR_KINDS}. "
            f"Got content={o.content}, channels={o.channels}."
        )


def _check_scales(o: RoutedOptions) -> None:
    infinite = float("inf")
    scales = (o.noise, o.strength, o.clutter)
    if not 0 < o.field < infinite or not all(0 <= scale < infinite for scale in scales):
        raise ValueError(
            "routed_responses needs field > 0, noise >= 0, strength >= 0 and clutter >= 0. "
            f"Got field={o.field}, noise={o.noise}, strength={o.strength}, clutter={o.clutter}."
        )
