"""How well models predict responses: a row per region, a block of columns per model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from graphcolumns.analysis.brain.check_arrays import (
    check_ceilings,
    check_counted,
    check_predicted,
    check_targets,
)
from graphcolumns.analysis.brain.table import COLUMNS, EncodingTable, TableRow
from graphcolumns.data import metrics
from graphcolumns.data.regression import Regression
from graphcolumns.geometry import Regions
from graphcolumns.geometry.regions import HEMISPHERES


def encoding_table(
    predictions: Mapping[str, Tensor],
    targets: Tensor,
    task: Regression | None = None,
    *,
    regions: Regions | None = None,
    noise_ceiling: Tensor | None = None,
    mask: Tensor | None = None,
) -> EncodingTable:
    r"""Correlations and shares of explainable variance by region, for one or more models.

    Rows are all vertices, each hemisphere, each family of regions and each region, in the order of
    the regions. A vertex is in every row whose region it is in, and once in a family. Columns are
    ``table.COLUMNS``: median and mean over vertices of Pearson's :math:`r`, of
    :math:`f = \max(r, 0)^2 / \mathrm{NC}` and of :math:`\min(f, 1)`. A vertex with a ceiling of 0
    is left out of those with a ceiling, and counted in ``zero_ceiling``; a vertex whose measured
    responses are constant is left out of all, and counted in ``undefined``.

    Args:
        predictions: Predicted responses of each model by name, ``[n, V]``, such as those to
            held-out images.
        targets: Measured responses, ``[n, V]``; samples where one is NaN are left out of its
            vertex.
        task: Task with mask, noise ceilings and regions, such as ``data.task``. What is passed by
            name takes precedence.
        regions: Regions of the vertices (default: those of the task, or none).
        noise_ceiling: Noise ceiling of every vertex, ``[V]`` in [0, 1].
        mask: Whether each vertex counts at all, ``[V]`` bool.

    Raises:
        ValueError: No model, or shapes that do not fit; the message says which.

    Example:
        >>> import torch
        >>> from graphcolumns.analysis.brain import encoding_table
        >>> targets = torch.tensor([[0.0, 0.0, 1.0], [1.0, 2.0, 0.0], [2.0, 1.0, 2.0]])
        >>> predictions = {"model": torch.tensor([0.0, 1.0, 2.0])[:, None].expand(3, 3)}
        >>> table = encoding_table(predictions, targets, noise_ceiling=torch.tensor([1, 0.5, 0]))
        >>> print(table.to_markdown())  # doctest: +SKIP
    """
    check_targets(targets)
    vertices = targets.shape[1]
    if task is not None:
        regions = task.regions if regions is None else regions
        noise_ceiling = task.noise_ceiling if noise_ceiling is None else noise_ceiling
        mask = task.mask if mask is None else mask
    if noise_ceiling is not None:
        check_ceilings("noise_ceiling", noise_ceiling, vertices)
    if mask is not None:
        check_counted(mask, vertices)
    _check_models(predictions, targets)
    counted = torch.ones(vertices, dtype=torch.bool) if mask is None else mask.cpu()
    sets = [(kind, name, x & counted) for kind, name, x in _row_masks(regions, vertices)]
    sets = [one for one in sets if one[2].any()]
    if not sets:
        raise ValueError("mask must be True for at least one vertex. Got none.")
    ceiling = None if noise_ceiling is None else noise_ceiling.to(targets.device)
    scores = {name: _scores(value, targets, ceiling) for name, value in predictions.items()}
    blocks = [
        torch.stack([_summary(found, members) for *_, members in sets]) for found in scores.values()
    ]
    rows = _rows(sets, scores, ceiling)
    return EncodingTable(rows, tuple(predictions), torch.stack(blocks, dim=1))


def _check_models(predictions: Mapping[str, Tensor], targets: Tensor) -> None:
    if not isinstance(predictions, Mapping) or not predictions:
        raise ValueError(
            "predictions must be a mapping from names of models to tensors [n, V], with at least "
            f"one. Got {type(predictions).__name__}; pass {{'model': prediction}}."
        )
    for name, predicted in predictions.items():
        check_predicted(f"predictions[{name!r}]", predicted, targets)


def _row_masks(regions: Regions | None, vertices: int) -> list[tuple[str, str, Tensor]]:
    """Kind, name and members of every row."""
    found = [("all", "all", torch.ones(vertices, dtype=torch.bool))]
    if regions is None:
        return found
    if regions.num_vertices != vertices:
        raise ValueError(
            f"regions must be of the {vertices:,} vertices of targets. Got regions of "
            f"{regions.num_vertices:,}; take regions.subset(vertices)."
        )
    regions = regions.to("cpu")
    if regions.hemisphere is not None:
        found += [
            ("hemisphere", name, regions.hemisphere == side)
            for side, name in enumerate(HEMISPHERES)
        ]
    for family in dict.fromkeys(regions.families):
        if family:
            found.append(("family", family, regions.of_families(family).masks.any(0)))
    found += [
        ("region", name, members)
        for name, members in zip(regions.names, regions.masks, strict=True)
    ]
    return found


def _scores(predicted: Tensor, targets: Tensor, ceiling: Tensor | None) -> Tensor:
    """r, share and clipped share of every vertex, ``[3, V]`` float64; NaN where not defined."""
    predicted = predicted.to(targets.device)
    r = metrics.pearson_per_target(predicted, targets)
    if ceiling is None:
        return torch.stack([r, torch.full_like(r, torch.nan), torch.full_like(r, torch.nan)]).cpu()
    share = metrics.ceiling_fraction_per_target(predicted, targets, ceiling)
    return torch.stack([r, share, share.clamp(max=1)]).cpu()


def _summary(scores: Tensor, members: Tensor) -> Tensor:
    """The numbers of one row and one model, in the order of ``COLUMNS``."""
    chosen = scores[:, members]
    numbers = torch.stack([f(values) for values in chosen for f in (metrics.median, _mean)])
    assert len(numbers) == len(COLUMNS)
    return numbers


def _mean(values: Tensor) -> Tensor:
    return values.nanmean()


def _rows(
    sets: list[tuple[str, str, Tensor]], scores: Mapping[str, Tensor], ceiling: Tensor | None
) -> tuple[TableRow, ...]:
    # Whether a correlation is defined depends on the targets alone, so any model shows it.
    undefined = next(iter(scores.values()))[0].isnan()
    zero = torch.zeros_like(undefined) if ceiling is None else ceiling.cpu() == 0
    return tuple(
        TableRow(kind, name, *(int((members & x).sum()) for x in (members, zero, undefined)))
        for kind, name, members in sets
    )
