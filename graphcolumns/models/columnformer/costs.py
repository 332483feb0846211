"""What it costs a column to listen, as the models report it."""

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.wiring import distance_cost, gaussian_cost

WIRINGS = ("distance", "gaussian")


def edge_cost(
    graph: ColumnGraph, wiring: str | None, power: float, sigma: float, norm: float
) -> Tensor | None:
    r"""Cost of every edge, ``[E]``: :math:`d^p / D_0`, the surprise of a Gaussian, or None.

    Args:
        graph: Measured edges.
        wiring: ``"distance"``, ``"gaussian"`` or None.
        power: The exponent ``p``.
        sigma: Radius of the Gaussian, in the unit of the graph.
        norm: :math:`D_0`, in that unit to the power ``p``.
    """
    if wiring == "distance":
        return distance_cost(graph, power, norm)[0]
    return gaussian_cost(graph, sigma) if wiring == "gaussian" else None
