"""Expected cost of the attention of a column, as the models report it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.attention import ColumnAttention
from graphcolumns.nn.communicability import check_limit, edge_communicability
from graphcolumns.nn.recording import AttentionRecord, Record, attention_mass
from graphcolumns.nn.wiring import distance_cost, gaussian_cost
from graphcolumns.ops import segment_sum

# What attention to an edge costs; the last one depends on all attention of a forward pass.
EXPECTED = ("distance", "gaussian")
WIRINGS = (*EXPECTED, "communicability")


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
