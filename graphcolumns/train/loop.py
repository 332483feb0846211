"""Training: the loop, on one screen."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from graphcolumns import checkpoint
from graphcolumns.checkpoint import Best
from graphcolumns.data import Batch, Dataset
from graphcolumns.geometry import Geometry
from graphcolumns.nn import keep_topology
from graphcolumns.nn.protocols import graph_of
from graphcolumns.plasticity import Rule
from graphcolumns.random.counter import derive
from graphcolumns.random.streams import batch_indices, generator
from graphcolumns.train import plastic_updates
from graphcolumns.train.best import Score, best_metric, better
from graphcolumns.train.describe import describe_all
from graphcolumns.train.evaluate import evaluate
from graphcolumns.train.fingerprint import told
from graphcolumns.train.fit import check_fit
from graphcolumns.train.log import Log
from graphcolumns.train.optim import adamw, custom, learning_rate, scheduled, set_learning_rate
from graphcolumns.train.options import check_options, count_steps
from graphcolumns.train.start import start
from graphcolumns.train.step import after_step, train_step
from graphcolumns.train.summary import Value, describe_machine, describe_model
from graphcolumns.train.terms import Term, per_sample, task_term

Metric = Callable[[nn.Module, Dataset], float]
Augmentation = Callable[..., Tensor]


def train(
    model: nn.Module,
    data: Dataset,
    *,
    run: str | os.PathLike[str],
    steps: int | None = None,
    epochs: float | None = None,
    batch_size: int = 64,
    lr: float = 6e-4,
    weight_decay: float = 0.05,
    betas: tuple[float, float] = (0.9, 0.95),
    warmup: float = 0.1,
    min_lr: float = 0.05,
    clip: float | None = 1.0,
    optimizer: Callable[..., Optimizer] | None = None,
    schedule: Callable[[int, int], float] | None = None,
    grad_accumulation: int = 1,
    amp: str | None = None,
    compile: bool = False,
    checkpoint_every: int | None = None,
    evaluate_every: int | None = None,
    evaluate_test: bool = True,
    losses: Mapping[str, tuple[float, Term]] | None = None,
    metrics: Mapping[str, Metric] | None = None,
    augmentation: Augmentation | None = None,
    permutation: Tensor | None = None,
    unit: str | None = None,
    plasticity: Rule | Callable[..., Rule] | None = None,
    geometry: Geometry | None = None,
    seed: int = 0,
    progress: bool = True,
    tensorboard: bool = False,
    device: str = "cpu",
    best: Score | None = "auto",
    resume: bool = False,
    changes: Collection[str] = (),
    averages: Sequence[AveragedModel] = (),
) -> dict[str, Value]:
    """Train a model and write a run folder. A run that was killed resumes bit for bit.

    What is random is a function of (seed, step), so the step is all that a resumed run needs to
    know: the order of samples comes from (seed, epoch), augmentation from (seed, step), and each
    step starts with `torch.manual_seed` of a hash of (seed, step), which the model's dropout draws
    from. The global generators of torch are left in another state.

    Args:
        model: `model(inputs)` returns an output with a `prediction`, and what the losses in use
            need: `state` `[N, B, C]`, `cost` `[T, N, B, H]`. `model.graph` is its ColumnGraph.
            Modules with a method `after_step()` are called after every optimizer step.
        data: training samples, and held-out samples that are scored at the end.
        run: the run folder, to be made, or to be continued with `resume`.
        steps: optimizer steps; either this or `epochs`.
        epochs: how often each training sample is seen.
        batch_size: samples per optimizer step.
        lr: highest learning rate.
        weight_decay: of AdamW, see `optim.adamw`.
        betas: of AdamW.
        warmup: share of the steps spent warming up.
        min_lr: lowest learning rate, as a share of `lr`, see `optim.learning_rate`.
        clip: largest norm of the gradient, or None.
        optimizer: makes another optimizer than AdamW from groups of parameters: a class of
            `torch.optim`, or a function of (groups, lr), see `optim.custom`. `betas` is then
            unused.
        schedule: another learning rate than `optim.learning_rate`: a function of (step, steps)
            that returns a share of `lr`; `warmup` and `min_lr` are then unused.
        grad_accumulation: parts that a batch is split into, to save memory; same gradient.
        amp: None (float32), `"bfloat16"` or `"float16"` (with loss scaling).
        compile: run the model through `torch.compile`.
        checkpoint_every: steps between checkpoints; the first and the last step have one anyway.
        evaluate_every: steps between scores of the training half, and of a validation fold. The
            test half is never looked at before the end.
        evaluate_test: score the held-out half at the end.
        losses: extra terms, name -> (weight, term); the task's own loss has weight 1.
        metrics: name -> function of (model, data), logged when evaluating and in the summary.
        augmentation: `augmentation(inputs, generator=...)`, applied to every training batch.
        permutation: the user's id of each column `[N]`, kept in the checkpoint.
        unit: of the distances of the graph, for the summary.
        plasticity: a rule by which edges die and are born, or a function of `steps` that returns
            one, such as `presets.rigl`. Births and deaths are written to `run/edges.jsonl`.
        geometry: where the columns are, in the order of the graph: measures newborn edges.
        seed: of everything random here.
        progress: show a progress bar.
        tensorboard: also write TensorBoard events.
        device: `"cpu"`, `"cuda"` or `"cuda:1"`.
        best: which score of a validation fold, whenever `evaluate_every` is due, decides what is
            kept in `run/best`: `"accuracy"` (highest), `"loss"` (lowest), `"auto"` (accuracy
            where the task has one), or None. Nothing is kept without a validation fold.
        resume: continue the run in `run` from its last checkpoint, or start it if it has none.
            Model, data, rule and options must be those of the run.
        changes: names of options that are meant to differ from the run that is resumed: `steps`
            (not below those done), `lr`, `weight_decay`, `betas`, `warmup`, `min_lr`, `clip`,
            `grad_accumulation`, `amp`. Schedules are functions of (step, steps): from here on
            they are those of a run that had the new numbers from its start, so the learning rate
            may jump. Changes are written to `run/changes.jsonl` and the summary. How often is
            scored and saved, and the device, may differ anyway.
        averages: moving averages of `model`, updated after every step, brought along when edges
            change, and kept in the checkpoint. Score one with `evaluate(average, data)`.

    Returns:
        The summary that is also in `run/summary.json`.

    Raises:
        ValueError: an option out of range, a damaged or foreign checkpoint, a run that was begun
            otherwise (what differs is listed), parts that do not fit each other (see `check_fit`).
        TypeError: an option of the wrong type, or a model without a ColumnGraph.
        FileExistsError: `run` is not empty and `resume` is False, or holds no run.
        FloatingPointError: loss or gradient are not finite; the last checkpoint is kept.
    """
    check_options(
        steps=steps,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        betas=betas,
        warmup=warmup,
        min_lr=min_lr,
        clip=clip,
        grad_accumulation=grad_accumulation,
        amp=amp,
        checkpoint_every=checkpoint_every,
        evaluate_every=evaluate_every,
        device=device,
    )
    run, metrics = Path(run).expanduser(), metrics or {}
    steps = count_steps(steps, epochs, batch_size, data.size("train"))
    metric = best_metric(data, best, evaluate_every)
    fingerprint = describe_all(
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        betas=betas,
        warmup=warmup,
        min_lr=min_lr,
        clip=clip,
        grad_accumulation=grad_accumulation,
        amp=amp,
        seed=seed,
        device=device,
        compile=compile,
        checkpoint_every=checkpoint_every,
        evaluate_every=evaluate_every,
        evaluate_test=evaluate_test,
        best=best,
        optimizer=optimizer,
        schedule=schedule,
        losses=dict(losses or {}),
        augmentation=augmentation,
        plasticity=plasticity,
        data=data,
        geometry=geometry,
        permutation=permutation,
        model=model,
    )
    model, data = model.to(device).train(), data.to(device)
    for average in averages:
        keep_topology(average.to(device))
    check_fit(model, data, losses or {}, augmentation)
    keep_topology(model)  # so that weights name their edges in all checkpoints, as after a resume
    changing = plastic_updates.begin(plasticity, model, data, geometry, steps, seed)
    fitted, aside = plastic_updates.set_aside(data, changing, seed)
    if optimizer is None:
        updater: Optimizer = adamw(model, lr, weight_decay, betas, plastic=changing is not None)
    else:
        updater = custom(optimizer, model, lr, weight_decay)
    scaler = GradScaler(torch.device(device).type, enabled=amp == "float16")
    terms = {"task": (1.0, task_term(data.task)), **(losses or {})}
    each = per_sample(data.task)
    forward = cast(nn.Module, torch.compile(model)) if compile else model

    def save(step: int, seconds: float, best: Best | None) -> None:
        checkpoint.save(
            run,
            model,
            step=step,
            optimizer=updater,
            scaler=scaler,
            train_seconds=seconds,
            permutation=permutation,
            plasticity=None if changing is None else changing.state_dict(),
            about=checkpoint.About(fingerprint, best),
            averages=averages,
        )

    begun = (run, model, updater, scaler, changing, fingerprint)
    done, seconds, record = start(
        *begun, resume=resume, changes=changes, save=save, averages=averages
    )
    if changing is not None:
        checkpoint.begin_history(run, done, graph_of(model), permutation)
    started = time.perf_counter() - seconds
    with Log(run, done, tensorboard) as log, _bar(done, steps, progress) as bar:
        for step in range(done, steps):
            torch.manual_seed(derive(seed, "dropout", step))
            inputs, targets = _batch(fitted, step, batch_size, seed, augmentation)
            if schedule is None:
                rate = learning_rate(step, steps, lr, warmup, min_lr)
            else:
                rate = scheduled(schedule, step, steps, lr)
            set_learning_rate(updater, rate)
            values = train_step(
                forward,
                inputs,
                targets,
                terms,
                updater,
                scaler,
                step=step + 1,
                clip=clip,
                parts=grad_accumulation,
                amp=amp,
                watch=None if changing is None else partial(changing.watch, model),
                skip=changing is not None and changing.due(step + 1) and changing.rule.skip,
            )
            after_step(model)
            for average in averages:
                average.update_parameters(model)
            entry = {"step": step + 1, "lr": rate, **values}
            if changing is not None and changing.due(step + 1):
                samples = plastic_updates.samples(aside, changing, seed, augmentation)
                update = changing.update(model, updater, step + 1, *samples, each, averages)
                change = update.number, update.rewiring, permutation
                checkpoint.write_event(run, step + 1, *change)
                entry |= update.metrics
            if _due(step + 1, evaluate_every):
                entry |= _scores(model, data, metrics, held_out=data.held_out == "validation")
            log.write(entry)
            seconds = time.perf_counter() - started
            won = better(record, metric, entry, step + 1)
            record = won or record
            if won or _due(step + 1, checkpoint_every) or step + 1 == steps:
                log.sync()
                save(step + 1, seconds, record)
            if won:
                checkpoint.keep_best(run)
            bar.set_postfix(loss=f"{values['loss']:.3f}", refresh=False)
            bar.update()
    scores = _scores(model, data, metrics, held_out=evaluate_test)
    if won := better(record, metric, scores, steps):
        record = won
        save(steps, seconds, record)
        checkpoint.keep_best(run)
    summary = {
        **dict.fromkeys(("test_accuracy", "train_accuracy")),
        **scores,
        **({} if record is None else {"best_step": record.step}),
        **({} if record is None else {f"best_{record.metric}": record.value}),
        **describe_model(model, unit),
        "seed": seed,
        "steps": steps,
        **({} if changing is None else {"updates": changing.updates}),
        **({} if changing is None else changing.outcome(model, steps)),
        **({"changes": told(noted)} if (noted := checkpoint.read_changes(run)) else {}),
        "train_seconds": seconds,
        **describe_machine(torch.device(device)),
    }
    checkpoint.write_text(run / "summary.json", json.dumps(summary, indent=2) + "\n")
    return summary


def _batch(
    data: Dataset, step: int, batch_size: int, seed: int, augmentation: Augmentation | None
) -> Batch:
    chosen = batch_indices(step, batch_size, data.size("train"), seed)
    inputs, targets = data.batch("train", chosen)
    if augmentation is not None:
        inputs = augmentation(inputs, generator=generator(seed, "augmentation", step))
    return Batch(inputs, targets)


def _scores(
    model: nn.Module, data: Dataset, metrics: Mapping[str, Metric], held_out: bool
) -> dict[str, float]:
    """`train_loss`, `train_accuracy`, the same of the held-out half if asked, and the metrics."""
    halves = {"train": "train"} | ({data.held_out: "test"} if held_out else {})
    scores = {
        f"{name}_{key}": value
        for name, half in halves.items()
        for key, value in evaluate(model, data, half).items()
    }
    return scores | {name: float(metric(model, data)) for name, metric in metrics.items()}


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _bar(done: int, steps: int, progress: bool) -> Any:
    return tqdm(total=steps, initial=done, desc="train", unit="step", disable=not progress)
