"""What feedback edges are needed for: clean and occluded images, edges cut or never there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from graphcolumns.analysis.function import Lesion, LesionEffects, edge_directions, lesion_effects
from graphcolumns.data import Dataset, augment
from graphcolumns.graph import ColumnGraph
from graphcolumns.random.streams import generator
from graphcolumns.studies.column_order import column_latency
from graphcolumns.studies.edge_asymmetry import with_edges
from graphcolumns.studies.study_run import StudyRun
from graphcolumns.training.evaluate import evaluate

KINDS = ("forward", "feedback", "random", "matched")


def feedback_lesions(
    run: StudyRun,
    sizes: Sequence[int],
    threshold: float = 1.0,
    samples: int = 400,
    draws: int = 3,
) -> dict[str, float]:
    """Loss and accuracy with edges cut, on clean and on occluded test images.

    The interaction of a lesion with occlusion is its effect on the loss of an occluded image minus
    that on the same image as it is, the mean over images. Any lesion may cost more where the task
    is harder: the feedback edges are compared with as many edges drawn at random, of all lengths
    (``random``) and with as many of every length (``matched``).

    Args:
        run: Run that classifies images in memory.
        sizes: Sides of the occluding square, in pixels; the first one is 0.
        threshold: Threshold of d', see :func:`column_order`.
        samples: Number of training samples that give the latency.
        draws: Number of draws of random edges, whose effects are averaged.

    Returns:
        ``intact_SIZE_loss`` and ``intact_SIZE_accuracy``; changes ``cut_KIND_SIZE_loss`` and
        ``cut_KIND_SIZE_accuracy`` for the kinds forward, feedback, random and matched;
        ``interaction_KIND_SIZE``; ``interaction_SIZE``, of feedback minus matched, with its
        standard error over images, ``interaction_SIZE_se``. Loss in nats.

    Raises:
        ValueError: The first size is not 0.
    """
    if not sizes or sizes[0] != 0:
        raise ValueError(f"sizes must begin with 0, clean images. Got {list(sizes)}.")
    lesions = _lesions(run, threshold, samples, draws)
    numbers, clean = dict[str, float](), dict[str, Tensor]()
    for size in sizes:
        effects = lesion_effects(run.model, occluded(run, size), lesions, resamples=1)
        numbers |= _scores(effects, size)
        losses = {kind: _of_kind(effects.loss_differences, kind) for kind in KINDS}
        clean = clean or losses
        if size:
            numbers |= _interactions({k: losses[k] - clean[k] for k in KINDS}, size)
    return numbers


def feedback_retrained(
    run: StudyRun, sizes: Sequence[int], threshold: float = 1.0, samples: int = 400
) -> dict[str, float]:
    """Accuracy of the same model trained from scratch without its feedback edges.

    A cut changes a softmax that was trained with all edges. This control never had them. A run
    whose edges were rewired has no such control: its edges were chosen while it was trained.

    Args:
        run: Run that classifies images in memory.
        sizes: Sides of the occluding square, in pixels.
        threshold: Threshold of d', see :func:`column_order`.
        samples: Number of training samples that give the latency.

    Returns:
        ``without_feedback_SIZE_loss`` and ``without_feedback_SIZE_accuracy``, and the same of
        ``without_matched``: as many edges of every length removed, drawn at random. Nothing for a
        run whose edges were rewired.
    """
    if not run.graph.same_graph(run.initial_graph):
        return {}
    order, graph = column_latency(run, run.model, threshold, samples), run.graph
    feedback = edge_directions(graph, order).feedback
    removed = {"feedback": feedback, "matched": _drawn(run, feedback, 0, by_length=True)}
    numbers = dict[str, float]()
    for name, edges in removed.items():
        model = run.retrain(with_edges(graph, ~edges)).model
        for size in sizes:
            scores = evaluate(model, occluded(run, size), "test")
            numbers |= {f"without_{name}_{size}_{k}": scores[k] for k in ("loss", "accuracy")}
    return numbers


def occluded(run: StudyRun, size: int) -> Dataset:
    """The data of a run with a square of every test image set to 0, the same in every call.

    Args:
        run: Run on images in memory.
        size: Side of the square, in pixels.

    Raises:
        TypeError: Images that are read when they are needed.
    """
    data, draws = run.data, generator(run.options.seed, "occlusion", size)
    if not isinstance(data, Dataset):
        raise TypeError(
            f"images must be in memory to be occluded. Got a {type(data).__name__}; take a Dataset."
        )
    return replace(data, test_inputs=augment.occlude(data.test_inputs, size, generator=draws))


def edges_like(
    graph: ColumnGraph, edges: Tensor, draws: torch.Generator, by_length: bool
) -> Tensor:
    """As many edges between different columns, drawn at random without replacement.

    Args:
        graph: Graph with lengths.
        edges: Which edges are counted, ``[E]`` bool, none of them from a column to itself.
        draws: Source of the draws.
        by_length: Whether as many are drawn of every length, up to rounding.

    Returns:
        ``[E]`` bool.
    """
    found = torch.zeros_like(edges)
    others = graph.source != graph.target
    lengths = torch.zeros(len(edges)) if graph.distance is None else graph.distance.cpu()
    # Equal lengths differ by rounding.
    bins = (lengths * 1e4).round() * by_length
    for value in bins[edges].unique():
        among = (others & (bins == value)).nonzero().flatten()
        count = int((edges & (bins == value)).sum())
        found[among[torch.randperm(len(among), generator=draws)[:count]]] = True
    return found


def _drawn(run: StudyRun, edges: Tensor, number: int, by_length: bool) -> Tensor:
    draws = generator(run.options.seed, "edges", number)
    return edges_like(run.graph, edges, draws, by_length)


def _lesions(run: StudyRun, threshold: float, samples: int, draws: int) -> dict[str, Lesion]:
    order = column_latency(run, run.model, threshold, samples)
    directions = edge_directions(run.graph, order)
    masks = {"forward": directions.forward, "feedback": directions.feedback}
    for number in range(draws):
        masks[f"random {number}"] = _drawn(run, directions.feedback, number, by_length=False)
        masks[f"matched {number}"] = _drawn(run, directions.feedback, number, by_length=True)
    return {name: Lesion(edges=mask) for name, mask in masks.items()}


def _of_kind(values: Mapping[str, Any], kind: str) -> Any:
    """The mean over the draws of a kind of lesion."""
    own = [value for name, value in values.items() if name.split()[0] == kind]
    return sum(own[1:], own[0]) / len(own)


def _scores(effects: LesionEffects, size: int) -> dict[str, float]:
    numbers = dict[str, float]()
    for metric in ("loss", "accuracy"):
        rows = {row.lesion: row for row in effects.rows if row.metric == metric}
        numbers[f"intact_{size}_{metric}"] = rows["feedback"].intact
        changes = {name: row.difference for name, row in rows.items()}
        numbers |= {f"cut_{kind}_{size}_{metric}": _of_kind(changes, kind) for kind in KINDS}
    return numbers


def _interactions(changes: Mapping[str, Tensor], size: int) -> dict[str, float]:
    numbers = {f"interaction_{kind}_{size}": float(changes[kind].mean()) for kind in KINDS}
    specific = changes["feedback"] - changes["matched"]
    error = float(specific.std()) / math.sqrt(len(specific))
    return numbers | {
        f"interaction_{size}": float(specific.mean()),
        f"interaction_{size}_se": error,
    }
