"""What sums along edges require of the weights of the edges."""

from torch import Tensor

from graphcolumns.graph import ColumnGraph


def check_weights(weight: Tensor, channels: int, graph: ColumnGraph) -> None:
    """Raises ValueError unless weights are one per edge, or several that divide the channels."""
    if weight.dim() not in (1, 2) or weight.shape[0] != graph.num_edges:
        raise ValueError(
            f"weight must be [E], [E, H] or [E, C] with E = {graph.num_edges} edges, "
            f"got {list(weight.shape)}. After a change of topology carry it along with the edges"
        )
    if weight.dim() == 2 and (weight.shape[1] == 0 or channels % weight.shape[1]):
        raise ValueError(
            f"the heads of weight [E, H] must divide the channels C = {channels}, "
            f"got H = {weight.shape[1]}"
        )
