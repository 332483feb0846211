"""Train, prune, scale: a trained sheet starts one of more columns, or of fewer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.geometry.part import part
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.protocols import graph_of
from graphcolumns.scaling.copied_edges import copied_edges, kept_edges
from graphcolumns.scaling.inherit import Origin, inherit

Build = Callable[[Geometry, ColumnGraph], nn.Module]
Loss = Callable[[nn.Module], Any]


@dataclass(frozen=True, eq=False)
class Rescaling:
    """A model that started from another one of other columns.

    Attributes:
        model: The new model.
        geometry: Positions of its columns.
        columns: The old column that each column comes from, ``[N']`` int64.
        edges: The old edge that each edge comes from, ``[E']`` int64.
        loss_before: Loss of the old model, None without ``loss``.
        loss_after: Loss of the new model.
    """

    model: nn.Module
    geometry: Geometry
    columns: Tensor
    edges: Tensor
    loss_before: float | None = None
    loss_after: float | None = None


def rescale(
    model: nn.Module,
    geometry: Geometry,
    columns: Tensor,
    build: Build,
    *,
    loss: Loss | None = None,
) -> Rescaling:
    """Start a sheet from another: each column with the weights and in-edges of its origin.

    Edges are those of ``copied_edges``, so that columns whose origins see the same compute what
    these did. If every column sees what its origin sees, its state is exactly that of its origin at
    every step. So then is a mean over the columns, where every origin has as many of them; where
    some have more, they weigh more. (A spatial read-out shares the weight of an origin among its
    columns, and does not change.)

    What columns see is up to ``build``: a finer sheet is there to look more finely, and with inputs
    laid out by place or with more receptive fields of the same size the loss changes, until the
    columns have learned to differ; ``loss`` says by how much. With ``sheet`` they see what their
    origins see if it gets ``interface={"receptive": model.receptive[columns]}``.

    The old model is not changed. Costs of wire stay in the unit of the old one
    (``model.wiring_norm``). Nothing of an optimizer is carried: after a change of this size moments
    of single columns say little, so make a new optimizer for the new model.

    Args:
        model: A trained model of one sheet; ``model.graph`` is its graph.
        geometry: Positions of the ``N'`` new columns.
        columns: The column of ``model`` that each of them comes from, ``[N']`` int64: of
            ``nearest_columns``.
        build: Makes the new model from a geometry and a graph, with the options of the old one:
            ``partial(sheet, image_size=8, ...)``.
        loss: Measures a model, without gradients; it should put it in eval mode first.

    Returns:
        A :class:`Rescaling`.

    Raises:
        ValueError: Ids out of range or not one per column, a model of several sheets, or a new
            model with other options than the old one.
        TypeError: ``model.graph`` is not a ColumnGraph, or ``columns`` is not int64.

    Source: columns that are copied and then diverge, after Chen, Goodfellow & Shlens, Net2Net, ICLR
    2016.
    """
    graph, kept = copied_edges(graph_of(model).to("cpu"), geometry, columns)
    return _started(model, build, geometry, graph, Origin(columns, kept), loss)


def remove_columns(
    model: nn.Module,
    geometry: Geometry,
    keep: Tensor,
    build: Build,
    *,
    loss: Loss | None = None,
) -> Rescaling:
    """Start a sheet without some columns of a trained one; the others do not change.

    They keep their weights and the edges between them, with their lengths. If they see what they
    saw, no column that stays receives from one that goes, and none that goes is read, nothing
    changes. ``sheet`` lays out what columns see anew by the extent of the sheet; with
    ``interface={"receptive": model.receptive[keep]}`` they see what they saw.

    Args:
        model: A trained model of one sheet; ``model.graph`` is its graph.
        geometry: Positions of its ``N`` columns.
        keep: Mask of the columns that stay, ``[N]`` bool.
        build: Function as of ``rescale``; it gets the geometry and the graph of the columns that
            stay: ``partial(sheet, interface={"receptive": model.receptive[keep]}, ...)``.
        loss: Loss of a model, as of ``rescale``.

    Returns:
        A :class:`Rescaling`.

    Raises:
        ValueError, TypeError: See ``rescale``; ``keep`` has another length or keeps nothing.
    """
    old = graph_of(model).to("cpu")
    geometry.require_columns(old.num_columns)
    graph, edges = kept_edges(old, keep)
    columns = keep.nonzero()[:, 0]
    kept = Origin(columns, edges)
    return _started(model, build, part(geometry, keep), graph, kept, loss)


def _started(
    model: nn.Module,
    build: Build,
    geometry: Geometry,
    graph: ColumnGraph,
    origin: Origin,
    loss: Loss | None,
) -> Rescaling:
    new = build(geometry, graph)
    if not graph_of(new).same_topology(graph):
        raise ValueError(f"build must use the graph it is given, {graph}. Got {graph_of(new)}.")
    new.to(graph_of(model).device).train(model.training)
    origin = Origin(*(ids.to(graph_of(model).device) for ids in origin))
    inherit(new, model, origin)
    if hasattr(model, "wiring_norm"):
        new.wiring_norm = model.wiring_norm
    before, after = (_measured(loss, each) for each in (model, new))
    return Rescaling(new, geometry, *origin, before, after)


@torch.no_grad()
def _measured(loss: Loss | None, model: nn.Module) -> float | None:
    return None if loss is None else float(loss(model))
