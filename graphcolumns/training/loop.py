"""Training: the loop, on one screen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from graphcolumns.data import AnyDataset
from graphcolumns.learning import backprop
from graphcolumns.random.counter import derive
from graphcolumns.training.evaluate import Metric
from graphcolumns.training.log import Log
from graphcolumns.training.options import TrainOptions
from graphcolumns.training.plastic_updates import Places, Rules
from graphcolumns.training.step import Learn
from graphcolumns.training.summary import Value
from graphcolumns.training.terms import Term
from graphcolumns.training.training import Augmentation, Training
from graphcolumns.training.weight_schedule import LossWeight


def train(
    model: nn.Module,
    data: AnyDataset,
    *,
    run: str | os.PathLike[str],
    options: TrainOptions | None = None,
    losses: Mapping[str, tuple[LossWeight, Term]] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    augmentation: Augmentation | None = None,
    plasticity: Rules | None = None,
    geometry: Places | None = None,
    permutation: Tensor | None = None,
    learn: Learn = backprop,
    averages: Sequence[AveragedModel] = (),
    resume: bool = False,
    **more: Any,
) -> dict[str, Value]:
    """Train a model and write a run folder. A run that was killed resumes bit for bit.

    What is random is a function of (seed, step), so the step is all that a resumed run needs to
    know: the order of samples comes from (seed, epoch), augmentation from (seed, step), and each
    step starts with ``torch.manual_seed`` of a hash of (seed, step), which the model's dropout
    draws from. The global generators of torch are left in another state.

    Args:
        model: Model that returns an output with a ``prediction``, and what the losses in use need:
            ``state [N, B, C]``, ``cost [T, N, B, H]``, see ``graphcolumns.nn.protocols``. Modules
            with a method ``after_step()`` are called after every optimizer step.
        data: Training samples, and held-out samples that are scored at the end.
        run: Run folder, to be made, or to be continued with ``resume``.
        options: Numbers of the run, see ``TrainOptions``.
        losses: Weight and term of extra losses by name; the task's own loss has weight 1. A weight
            may be a function of (step, steps), see ``ScheduledWeight``.
        metrics: Functions of (model, data) by name, logged when evaluating and in the summary.
        augmentation: Function ``augmentation(inputs, generator=...)`` of every training batch.
        plasticity: Rule that prunes and grows edges, or a function of ``steps`` that returns one,
            such as ``presets.rigl``. Of a model with several graphs it changes the first; a mapping
            from names of graphs gives each its own. Edges that come and go are written to
            ``run/edges.jsonl``.
        geometry: Positions of the columns, in the order of the graph: measures newborn edges, and
            names the unit of lengths in the summary. Where graphs have different columns, a
            mapping from their names, with a pair (columns, sources) for edges from other columns.
        permutation: The user's id of each column, ``[N]``, kept in the checkpoint.
        learn: Learning rule that fills ``.grad``, see ``graphcolumns.learning``.
        averages: Moving averages of ``model``, updated after every step, brought along when edges
            change, and kept in the checkpoint. Score one with ``evaluate(average, data)``.
        resume: Whether to continue the run in ``run`` from its last checkpoint, or to start it if
            it has none. Model, data, rule and options must be those of the run.
        more: Fields of ``TrainOptions``, given directly, as in ``train(..., steps=300)``.

    Returns:
        The summary that is also in ``run/summary.json``.

    Raises:
        ValueError: An option out of range, a damaged or foreign checkpoint, a run that was begun
            otherwise (what differs is listed), parts that do not fit each other (see
            ``check_fit``).
        TypeError: An option of the wrong type, or a model without a ColumnGraph.
        FileExistsError: ``run`` is not empty and ``resume`` is False, or holds no run.
        FloatingPointError: Loss or gradient are not finite; the last checkpoint is kept.
    """
    training = Training(
        model, data, TrainOptions.of(options, more), losses or {}, metrics or {}, augmentation,
        plasticity, geometry, permutation, learn, averages,
    )  # fmt: skip
    return run_steps(training, Path(run).expanduser(), resume)


def run_steps(training: Training, run: Path, resume: bool = False) -> dict[str, Value]:
    """All steps of a training that is ready, from the first or from the last checkpoint.

    Args:
        training: Training to run.
        run: Run folder.
        resume: Whether to continue what is in the folder.

    Returns:
        The summary.
    """
    done, steps = training.start(run, resume), training.steps
    show = training.options.progress
    bar = tqdm(total=steps, initial=done, desc="train", unit="step", disable=not show)
    with Log(training.run, done, training.options.tensorboard) as log, bar:
        for step in range(done + 1, steps + 1):
            torch.manual_seed(derive(training.options.seed, "dropout", step - 1))
            entry = training.step(step)
            entry |= training.rewire_if_due(step)
            entry |= training.score_if_due(step)
            log.write(entry)
            training.save_if_due(step, entry, log)
            bar.set_postfix(loss=f"{entry['loss']:.3f}", refresh=False)
            bar.update()
    return training.finish()
