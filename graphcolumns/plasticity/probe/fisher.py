"""Curvature of the loss along the step of an edge, from what the model itself predicts."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.batches import Inputs, device_of, num_samples, select_samples
from graphcolumns.nn.recording import evaluating
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity.probe.trace import Losses, trace
from graphcolumns.random.counter import uniform

Logits = Callable[[Any], Tensor]
Answers = Literal["classes", "bits"]
LEAST = 1e-12  # weight of a class in the draw: never 0 / 0


def _logits(output: Any) -> Tensor:
    logits: Tensor = output.prediction
    return logits


def fisher(
    model: nn.Module,
    inputs: Inputs,
    targets: Tensor,
    sources: Tensor,
    *,
    draws: int | None = None,
    seed: int = 0,
    update: int = 0,
    logits: Logits = _logits,
    answers: Answers = "classes",
    graph: ColumnGraph | None = None,
    newborn_bias: Tensor | None = None,
    slice_size: int = 8,
    chunk: int | None = None,
    backend: str = "auto",
) -> EdgeScores:
    r"""Second moments of effects when labels come from the model, :math:`\sum_b \sum_y p_y u_y^2`.

    For a classifier with cross-entropy this is Fisher's information along the step of an edge, and
    equals its generalised Gauss-Newton curvature: :math:`\Delta L \approx \mathrm{E}[u] +
    \frac12 \mathrm{E}_{y \sim p}[u_y^2]`, with :math:`u` of the true labels in the first term. The
    moments that :func:`~graphcolumns.plasticity.probe.trace.trace` returns are those of the true
    labels (the empirical Fisher): of a model that fits its data their gradients vanish faster than
    the curvature does.

    Args:
        model: Classifies; as in trace.
        inputs: ``[B, ...]``.
        targets: ``[P]``.
        sources: ``[P]``.
        draws: Labels drawn per sample, each one more pass, from :math:`q_y \propto p_y (1 - p_y)`
            and weighted by :math:`p / q`: without bias, and wrong labels are not as rare as the
            model thinks (default: every class, one pass each, exactly).
        seed: Seed of the draws.
        update: Number of the change of topology.
        logits: Function from the output of the model to ``[B, K]`` (default:
            ``output.prediction``).
        answers: ``"classes"``, one of K with cross-entropy; or ``"bits"``, K yes-or-no answers
            whose loss is their mean binary cross-entropy: these are always drawn (default: once),
            each from its own :math:`\sigma(z)`, and moments are scaled by K, because the
            curvature of a mean is that of the sum over K, and its squared gradient that over
            :math:`K^2`.
        graph: Graph along whose edges, as in trace.
        newborn_bias: Score of newborns, as in trace.
        slice_size: Samples at a time, as in trace.
        chunk: Pairs at a time, as in trace.
        backend: Backend of ``edge_scores``, as in trace.

    Returns:
        :class:`~graphcolumns.ops.EdgeScores` of which only ``deletion_squares`` and
        ``insertion_squares`` are to be read.

    Raises:
        ValueError: As trace; fewer than one draw.
        TypeError: As trace.

    Source: Kunstner, Hennig & Balles, Limitations of the empirical Fisher approximation for natural
    gradient descent, NeurIPS 2019, https://arxiv.org/abs/1905.12558, on the difference.
    """
    if draws is not None and draws < 1:
        raise ValueError(f"draws must be at least 1, or None for every class, got {draws}")
    if not num_samples(inputs):
        raise ValueError("inputs must hold at least one sample, got none")
    losses: list[Callable[[Any, Tensor], Tensor]]
    if answers == "bits":
        many = 1 if draws is None else draws
        losses = [partial(_of_bits, logits, seed, update, n, many) for n in range(many)]
    elif draws is None:
        classes = range(_classes(model, inputs, logits))
        losses = [partial(_of_class, logits, label) for label in classes]
    else:
        losses = [partial(_of_draw, logits, seed, update, n, draws) for n in range(draws)]
    options: dict[str, Any] = {"graph": graph, "newborn_bias": newborn_bias, "chunk": chunk}
    options |= {"slice_size": slice_size, "backend": backend}
    samples = torch.arange(num_samples(inputs), device=device_of(inputs))
    total: EdgeScores | None = None
    for loss in losses:
        part = trace(model, inputs, samples, loss, targets, sources, **options)
        total = part if total is None else total.add_(part)
    assert total is not None
    return replace(total, samples=num_samples(inputs))


def answers_of(losses: Losses, labels: Tensor) -> Answers | None:
    """The kind of labels that the prediction of a model defines, or None.

    Losses say it by their attribute ``answers``, as those of a task do. Of losses that do not,
    integer labels ``[B]`` are classes, and nothing is known of others.

    Args:
        losses: Function from the output and the labels to one loss per sample.
        labels: ``[B, ...]``.

    Raises:
        ValueError: Another kind.
    """
    ids = labels.dim() == 1 and not labels.is_floating_point()
    found: Answers | None = getattr(losses, "answers", "classes" if ids else None)
    if found not in (None, *get_args(Answers)):
        raise ValueError(f"losses.answers must be 'classes', 'bits' or None. Got {found!r}.")
    return found


def drawn(answers: Answers, seed: int = 0, update: int = 0) -> Losses:
    """The loss under one draw from the model, of ``(output, number of each sample)``."""
    one = _of_draw if answers == "classes" else _of_bits
    return partial(one, _logits, seed, update, 0, 1)


@torch.no_grad()
def _classes(model: nn.Module, inputs: Inputs, logits: Logits) -> int:
    with evaluating(model):
        return logits(model(select_samples(inputs, slice(1)))).shape[-1]


def _of_class(logits: Logits, label: int, output: Any, samples: Tensor) -> Tensor:
    """The loss at one label, scaled so that squared effects are weighted by its probability."""
    log_p = torch.log_softmax(logits(output), -1)[:, label]
    return -log_p * (0.5 * log_p.detach()).exp()


def _of_draw(
    logits: Logits, seed: int, update: int, draw: int, draws: int, output: Any, samples: Tensor
) -> Tensor:
    log_p = torch.log_softmax(logits(output), -1)
    p = log_p.detach().exp()
    q = (p * (1 - p)).clamp(min=LEAST)
    q = q / q.sum(-1, keepdim=True)
    # Draw n of sample b is number b of update `update * draws + n`: the same in any slices.
    u = uniform(seed, "fisher", update * draws + draw, samples).to(q)
    label = (q.cumsum(-1) < u[:, None]).sum(-1, keepdim=True).clamp(max=q.shape[-1] - 1)
    weight = (p.gather(1, label) / (q.gather(1, label) * draws)).sqrt()
    return (-log_p.gather(1, label) * weight)[:, 0]


def _of_bits(
    logits: Logits, seed: int, update: int, draw: int, draws: int, output: Any, samples: Tensor
) -> Tensor:
    """The mean loss over bits drawn from the model, scaled to the curvature of the mean."""
    values = logits(output).float()
    bits = values.shape[1]
    counters = samples[:, None] * bits + torch.arange(bits, device=samples.device)
    u = uniform(seed, "fisher bits", update * draws + draw, counters).to(values)
    drawn = (u < values.detach().sigmoid()).to(values)
    each = binary_cross_entropy_with_logits(values, drawn, reduction="none").mean(1)
    return each * (bits / draws) ** 0.5
