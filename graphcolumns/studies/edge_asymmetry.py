"""Feed-forward and feedback edges of a run: how many, how ordered, and how much attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from graphcolumns.analysis.connectome.nulls import flip_directions, null_values
from graphcolumns.analysis.function import EdgeDirections, edge_directions, weight_contrast
from graphcolumns.analysis.hierarchy import trophic_incoherence
from graphcolumns.analysis.watch import watch
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.protocols import graph_of
from graphcolumns.studies.column_order import column_latency
from graphcolumns.studies.study_run import StudyRun


def edge_asymmetry(
    run: StudyRun, threshold: float = 1.0, samples: int = 400, draws: int = 100
) -> dict[str, float]:
    """Whether edges climb the order of latency, and whether attention goes up or down.

    Edges are feed-forward from an earlier column to a later one, by the latency of the trained
    model, whatever their weights. Feed-forward edges have no cycle by this definition, so that
    their trophic incoherence F0 lies below that of flipped edges for any order: ``permuted_f0`` is
    the mean F0 of edges that are feed-forward in a permuted order. The attention of all edges needs
    no order.

    Args:
        run: Run of a model that attends along one graph.
        threshold: Threshold of d', see :func:`column_order`.
        samples: Number of training samples.
        draws: Number of draws of each null.

    Returns:
        Numbers of edges, ``forward``, ``feedback`` and ``lateral`` (self-edges are left out); F0 of
        feed-forward edges, ``forward_f0``, with the mean and the standard deviation of the null of
        flipped directions (``flipped_f0``, ``flipped_f0_sd``) and ``permuted_f0``; F0 of all edges
        weighted by attention, ``attention_f0``, minus its null of flipped directions,
        ``attention_f0_excess``; and the mean attention of feed-forward minus that of feedback edges
        (``contrast``, its null within bins of length as ``contrast_z``). What depends on attention
        is also given for the model before training on its first graph, with the order of the
        trained one: ``untrained_``.

    Source: MacKay, Johnson and Sansom, How directed is a directed network?, Royal Society Open
    Science 7 (2020).
    """
    order = column_latency(run, run.model, threshold, samples)
    directions = edge_directions(run.graph, order)
    different = run.graph.source != run.graph.target
    numbers = {
        "forward": float(directions.forward.sum()),
        "feedback": float(directions.feedback.sum()),
        "lateral": float((directions.lateral & different).sum()),
    }
    numbers |= _forward_incoherence(run.graph, directions, order, draws)
    inputs = run.data.batch("train", torch.arange(samples)).inputs
    numbers |= _attention(run.model, order, inputs, draws)
    before = _attention(run.untrained, order, inputs, draws)
    return numbers | {f"untrained_{name}": value for name, value in before.items()}


def with_edges(graph: ColumnGraph, kept: Tensor) -> ColumnGraph:
    """The graph with some of its edges only.

    Args:
        graph: Graph.
        kept: Which edges stay, ``[E]`` bool.
    """
    distance = None if graph.distance is None else graph.distance[kept]
    edges, sizes = graph.edge_index[:, kept], (graph.num_columns, graph.num_sources)
    return ColumnGraph.from_edge_index(edges, *sizes, distance)


def _forward_incoherence(
    graph: ColumnGraph, directions: EdgeDirections, order: Tensor, draws: int
) -> dict[str, float]:
    names = ("forward_f0", "flipped_f0", "flipped_f0_sd", "permuted_f0")
    if not directions.forward.any():
        return dict.fromkeys(names, math.nan)
    forward = with_edges(graph, directions.forward)
    flipped = null_values(forward, trophic_incoherence, flip_directions, count=draws, tail="less")
    generator = torch.Generator().manual_seed(0)
    permuted = [
        edge_directions(graph, order[torch.randperm(len(order), generator=generator)]).forward
        for _ in range(draws)
    ]
    values = [trophic_incoherence(with_edges(graph, kept)) for kept in permuted]
    numbers = flipped.observed, flipped.mean, flipped.sd, sum(values) / draws
    return dict(zip(names, numbers, strict=True))


def _attention(model: nn.Module, order: Tensor, inputs: Inputs, draws: int) -> dict[str, float]:
    graph = graph_of(model)
    (attention,) = watch(model, inputs, batch_size=100).attention.values()
    weights = attention.mean(0)
    null = null_values(graph, trophic_incoherence, flip_directions, draws, weights=weights)
    contrast = weight_contrast(graph, edge_directions(graph, order), weights)
    return {
        "attention_f0": null.observed,
        "attention_f0_excess": null.observed - null.mean,
        "contrast": contrast.difference,
        "contrast_z": contrast.z,
    }
