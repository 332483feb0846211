"""Samples ranked by the response that is predicted for some regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.geometry import Regions


class Ranking(NamedTuple):
    """Samples from the strongest predicted response to the weakest.

    Attributes:
        samples: Id of each sample, ``[n]`` int64, as the user counts them.
        response: Predicted response of each, summed over the vertices of the regions, ``[n]``
            float64, in the unit of the responses.
        positions: Position of each among the predictions, ``[n]`` int64.
        regions: Names of the regions.
        vertices: Number of vertices that were summed.
    """

    samples: Tensor
    response: Tensor
    positions: Tensor
    regions: tuple[str, ...]
    vertices: int


def rank_images(
    prediction: Tensor,
    regions: Regions,
    chosen: str | Sequence[str],
    ids: Tensor | None = None,
) -> Ranking:
    """Rank samples by the summed predicted response of one or more regions.

    A vertex in several of the regions counts once. Samples with equal responses are in the order
    of the predictions.

    Args:
        prediction: Predicted responses, ``[n, V]``.
        regions: Regions of the ``V`` vertices.
        chosen: Names of the regions.
        ids: Id of each sample, ``[n]`` int64, such as those of images in a larger set (default: its
            position).

    Raises:
        ValueError: An unknown region or none, predictions of other vertices or that are not finite,
            or ids of another number of samples.

    Example:
        >>> import torch
        >>> from graphcolumns.analysis.brain import rank_images
        >>> from graphcolumns.geometry import Regions
        >>> v1, faces = torch.tensor([[1, 1, 0], [0, 1, 1]]).bool()
        >>> regions = Regions.from_masks({"V1": v1, "FFA": faces})
        >>> prediction = torch.tensor([[9.0, 0, 0], [0, 1, 2], [0, 2, 2]])
        >>> rank_images(prediction, regions, "FFA", ids=torch.tensor([70, 80, 90])).samples
        tensor([90, 80, 70])
    """
    names = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    if not names:
        raise ValueError(
            f"chosen must name a region, one of {', '.join(map(repr, regions.names))}. Got none."
        )
    if prediction.ndim != 2 or prediction.shape[1] != regions.num_vertices:
        raise ValueError(
            f"prediction must be [samples, {regions.num_vertices}], the vertices of the regions. "
            f"Got {list(prediction.shape)}."
        )
    if ids is not None and (ids.dtype != torch.int64 or ids.shape != prediction.shape[:1]):
        raise ValueError(
            f"ids must be int64, one per sample, [{len(prediction)}]. Got {ids.dtype}, "
            f"{list(ids.shape)}."
        )
    members = torch.stack([regions.mask(name) for name in names]).any(0).to(prediction.device)
    response = prediction.detach().double()[:, members].sum(1).cpu()
    if not bool(response.isfinite().all()):
        raise ValueError("prediction must be finite in the regions. Got NaN or infinity.")
    order = response.argsort(descending=True, stable=True)
    known = torch.arange(len(order)) if ids is None else ids.cpu()
    return Ranking(known[order], response[order], order, names, int(members.sum()))
