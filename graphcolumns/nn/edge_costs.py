"""Expected cost of the attention of a column, as the models report it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.communicability import check_limit, edge_communicability
from graphcolumns.nn.recording import AttentionRecord, Record, attention_mass
from graphcolumns.nn.wiring import distance_cost, gaussian_cost
from graphcolumns.ops import segment_sum

# What attention to an edge costs; the last one depends on all attention of a forward pass.
EXPECTED = ("distance", "gaussian")
WIRINGS = (*EXPECTED, "communicability")
# What a signed weight costs.
WEIGHT_WIRINGS = ("size", "distance", "communicability")


def edge_cost(
    graph: ColumnGraph, wiring: str | None, power: float, sigma: float, norm: float
) -> Tensor | None:
    r"""Cost of every edge, ``[E]``: :math:`d^p / D_0`, the surprise of a Gaussian, or None.

    With communicability, this is the length alone, :math:`d^p / D_0`.

    Args:
        graph: Measured edges.
        wiring: ``"distance"``, ``"gaussian"`` or None.
        power: The exponent ``p``.
        sigma: Radius of the Gaussian, in the unit of the graph.
        norm: :math:`D_0`, in that unit to the power ``p``.
    """
    if wiring in ("distance", "communicability"):
        return distance_cost(graph, power, norm)[0]
    return gaussian_cost(graph, sigma) if wiring == "gaussian" else None


def check_communicable(graph: ColumnGraph, columns: nn.Module) -> None:
    """Raise a ValueError if there are too many columns, or columns that do not attend."""
    check_limit(graph.num_columns)
    modes = {part.mode for part in columns.modules() if isinstance(part, ColumnAttention)}
    mixing = sorted(modes & {"mixing", "linear_mixing"})
    if mixing:
        raise ValueError(
            "communicability is that of attention (modes attention, selection, identity), got "
            f"{mixing}: choose wiring='distance'"
        )
    layers = (part for part in columns.modules() if isinstance(part, ColumnAttention))
    if any(layer.excitatory_beyond is not None for layer in layers):
        raise ValueError(
            "communicability is that of recorded attention, and edges that only excite beyond a "
            "length are not recorded. Expected excitatory_beyond=None. Got both; choose "
            "wiring='distance'."
        )


def communicability_cost(records: Sequence[Record], lengths: Tensor) -> Tensor:
    r"""Attention times length times communicability, summed over the in-edges of each column.

    .. math::
        \mathrm{cost}_i = \sum_j \bar p_{ij} \, c_{ij} \, C_{ij}(\bar p)

    with the attention :math:`\bar p`, a mean over steps, samples and heads, as the weight of an
    edge and the communicability :math:`C` of these weights. The gradient goes through both.

    Args:
        records: Records of the attention in a forward pass, all along one graph.
        lengths: The cost ``c`` of every edge, ``[E]``.

    Returns:
        ``[N, 1, 1]``: one number per column, for all samples and heads.

    Source: the regulariser of Achterberg et al., Nature Machine Intelligence 2023, whose weights
    are those of a recurrent network.
    """
    graph = records[0].graph
    attention = [record for record in records if isinstance(record, AttentionRecord)]
    mass = torch.stack([attention_mass(record) for record in attention]).mean(0)
    paid = mass * lengths * edge_communicability(mass, graph)
    return segment_sum(paid, graph.target, graph.num_columns)[:, None, None]


def weight_cost(
    graph: ColumnGraph, weight: Tensor, wiring: str, power: float = 1.0, norm: float | None = None
) -> Tensor:
    r"""What the signed weights of the in-edges of each column cost.

    .. math::
        \mathrm{cost}_i = \sum_j |w_{ij}| \, f_{ij}, \qquad
        f_{ij} = 1, \quad d_{ij}^p / D_0 \quad \text{or} \quad (d_{ij}^p / D_0) \, C_{ij}(|w|)

    for ``"size"`` (the L1 norm), ``"distance"`` and ``"communicability"``. Communicability is that
    of the weights themselves, and the gradient goes through it too. Self-edges have a size, but
    neither length nor communicability.

    Args:
        graph: Edges among columns, with lengths unless the cost is the size.
        weight: Weight of each edge, ``[E]``.
        wiring: One of ``"size"``, ``"distance"`` and ``"communicability"``.
        power: Exponent ``p`` of the distance.
        norm: Normaliser :math:`D_0`, in the unit of the distance to the power ``p`` (default: that
            of this graph).

    Returns:
        ``[N]``.

    Raises:
        ValueError: An unknown choice, lengths that were never measured, or more than 1024 columns
            with communicability.

    Source: Achterberg et al., Spatially embedded recurrent neural networks, Nature Machine
    Intelligence 2023, https://doi.org/10.1038/s42256-023-00748-9, whose sums are not divided by
    :math:`D_0`.
    """
    check_choice("wiring", wiring, WEIGHT_WIRINGS)
    paid = size = weight.abs()
    if wiring != "size":
        paid = size * distance_cost(graph, power, norm)[0]
    if wiring == "communicability":
        paid = paid * edge_communicability(size, graph)
    return segment_sum(paid, graph.target, graph.num_columns)
