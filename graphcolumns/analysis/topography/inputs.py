"""Checks of responses, maps and positions that the measures of topography share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graphcolumns.analysis.connectome.pairs import check_sizes
from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


def as_numbers(name: str, values: Any) -> Floats:
    """Finite numbers as float64, of any shape."""
    if torch.is_tensor(values):
        values = values.detach().cpu()
        # numpy has no bfloat16.
        values = values.double().numpy() if values.is_floating_point() else values.numpy()
    found = np.asarray(values)
    if found.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers. Got {found.dtype}.")
    found = found.astype(np.float64)
    bad = int((~np.isfinite(found)).sum())
    if bad:
        raise ValueError(
            f"{name} must be finite. Got {bad} values of {found.size} that are not; leave these "
            "columns or samples out."
        )
    return found


def as_responses(responses: Any, columns: int | None = None) -> Floats:
    """Responses ``[S, N]`` as float64, of ``columns`` columns if that is given."""
    found = as_numbers("responses", responses)
    if found.ndim != 2 or not found.size:
        raise ValueError(
            f"responses must be [S, N], samples x columns. Got {list(found.shape)}; a state "
            "[N, B, C] gives one matrix per channel, state[:, :, c].T."
        )
    if columns is not None and found.shape[1] != columns:
        turned = "; transpose them" if found.shape[0] == columns else ""
        raise ValueError(
            f"responses must be [S, N] with N = {columns} columns. Got {list(found.shape)}{turned}."
        )
    return found


def as_column_values(name: str, values: Any, columns: int) -> Floats:
    """One number per column, ``[N]``, as float64."""
    found = as_numbers(name, values)
    if found.shape != (columns,):
        raise ValueError(
            f"{name} must be one number per column, [N] = [{columns}]. Got {list(found.shape)}."
        )
    return found


def as_edge_weights(weights: Tensor | None, graph: ColumnGraph) -> Floats:
    """One number per edge, ``[E]``, 0 or above; 1 for every edge by default."""
    if weights is None:
        return np.ones(graph.num_edges)
    found = as_numbers("weights", weights)
    if found.shape != (graph.num_edges,):
        raise ValueError(
            f"weights must be one number per edge, [E] = [{graph.num_edges}]. Got "
            f"{list(found.shape)}."
        )
    if (found < 0).any():
        raise ValueError(
            f"weights must be 0 or above. Got {found.min():.3g}; pass their absolute values if "
            "their size is meant."
        )
    check_sizes(found)
    return found


def require_columns(graph: ColumnGraph) -> None:
    """Raise unless the edges join columns with columns."""
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"the graph must join columns with columns. Got {graph.num_sources} sources and "
            f"{graph.num_columns} columns."
        )


def distances_between(geometry: Geometry, first: Ids, second: Ids) -> Floats:
    """Distance of every pair, in the unit of the geometry; infinite where no path leads."""
    device = geometry.positions.device
    with torch.no_grad():
        ids = (torch.from_numpy(first).to(device), torch.from_numpy(second).to(device))
        return geometry.distance(*ids).double().cpu().numpy()


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's r; NaN where one of both is constant, or there are fewer than two values."""
    if len(x) < 2 or (x == x[0]).all() or (y == y[0]).all():
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def unit_columns(responses: Floats) -> Floats:
    """Centred columns of length 1, ``[S, N]``, whose products are Pearson's r; constant: NaN."""
    constant = (responses == responses[0]).all(0)
    centred = responses - responses.mean(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = centred / np.linalg.norm(centred, axis=0)
    unit[:, constant] = np.nan
    return unit
