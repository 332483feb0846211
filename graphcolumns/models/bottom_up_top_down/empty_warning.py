"""The warning of an empty sub-network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from torch import Tensor

from graphcolumns.models.bottom_up_top_down.instruction_vectors import named_instruction
from graphcolumns.nn.top_down import EmptySubNetworkWarning, TopDownNetwork, empty_sub_networks


def warn_of_empty(
    network: TopDownNetwork,
    gates: Mapping[str, Tensor],
    vectors: Tensor,
    image: str,
    prediction: str,
) -> None:
    """Warns of instructions whose gates leave no way from the image to the prediction.

    Args:
        network: Network.
        gates: Gates of every instruction, by population.
        vectors: Instructions, ``[I, tasks]``.
        image: Name of the population that is seen.
        prediction: Name of the population that is read.
    """
    for at, closed in empty_sub_networks(network, gates, image, prediction):
        warnings.warn(
            f"the sub-network of the instruction {named_instruction(vectors[at])} is empty: all "
            f"gates of {closed!r} are closed, and the prediction is the same for every image. Draw "
            "other weights (another seed), or make the population larger.",
            EmptySubNetworkWarning,
            stacklevel=4,
        )
