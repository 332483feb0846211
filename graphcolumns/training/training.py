"""A training run: its parts, and what happens in one step of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from graphcolumns import checkpoint
from graphcolumns.checkpoint import Best
from graphcolumns.data import AnyDataset, Batch
from graphcolumns.learning import backprop
from graphcolumns.nn import keep_topology
from graphcolumns.random.streams import batch_indices, generator
from graphcolumns.training.best import best_metric, better
from graphcolumns.training.evaluate import Metric, run_scores
from graphcolumns.training.fingerprint import describe_changes, fingerprint_of
from graphcolumns.training.fit import check_fit, check_schedule
from graphcolumns.training.log import Log
from graphcolumns.training.optim import (
    adamw,
    custom_optimizer,
    learning_rate,
    schedule_rate,
    set_learning_rate,
)
from graphcolumns.training.options import TrainOptions
from graphcolumns.training.plastic_updates import Places, PlasticUpdates, Rules
from graphcolumns.training.start import start
from graphcolumns.training.step import Learn, after_step, train_step
from graphcolumns.training.summary import Value, describe_machine, describe_model
from graphcolumns.training.terms import Term, per_sample, task_term
from graphcolumns.training.try_learning import try_learning
from graphcolumns.training.trying import trying
from graphcolumns.training.weight_schedule import LossWeight, weights_at

Augmentation = Callable[..., Tensor]


class Training:
    """A training run, tried and ready to start. Arguments are those of ``train``.

    Every part is called once, so that what cannot work together fails before anything is written.
    """

    def __init__(
        self,
        model: nn.Module,
        data: AnyDataset,
        options: TrainOptions,
        losses: Mapping[str, tuple[LossWeight, Term]],
        metrics: Mapping[str, Metric],
        augmentation: Augmentation | None = None,
        plasticity: Rules | None = None,
        geometry: Places | None = None,
        permutation: Tensor | None = None,
        learn: Learn = backprop,
        averages: Sequence[AveragedModel] = (),
    ) -> None:
        self.options, self.metrics = options, metrics
        self.augmentation, self.permutation = augmentation, permutation
        self.learn, self.averages = learn, averages
        self.unit = _unit(geometry)
        self.steps = options.count_steps(data.size("train"))
        self.metric = best_metric(data, options.best, options.evaluate_every)
        self.fingerprint = fingerprint_of(
            options,
            self.steps,
            losses=dict(losses),
            augmentation=augmentation,
            learn=learn,
            plasticity=plasticity,
            data=data,
            geometry=geometry,
            permutation=permutation,
            model=model,
        )
        self.model, self.data = model.to(options.device).train(), data.to(options.device)
        for average in averages:
            keep_topology(average.to(options.device))
        if (learned_by := getattr(model, "learned_by", None)) is not None:
            learned_by(learn)
        attempt = partial(trying, self.model, options.device)
        with attempt("while trying two samples"):
            check_fit(self.model, self.data, losses, augmentation, self.steps)
        # So that weights name their edges in all checkpoints, as after a resume.
        keep_topology(self.model)
        with attempt("while starting the rule of plasticity"):
            self.plasticity = PlasticUpdates.begin(
                plasticity, self.model, self.data, geometry, self.steps, options.seed
            )
        self.terms: dict[str, tuple[LossWeight, Term]] = {
            "task": (1.0, task_term(data.task)),
            **losses,
        }
        with attempt("while trying the learning rule"):
            terms = weights_at(self.terms, 0, self.steps)
            try_learning(
                self.model, self.data, terms, learn, augmentation=augmentation, amp=options.amp
            )
        with attempt("while trying optimizer and schedule"):
            check_schedule(options.schedule, self.steps, options.lr)
            self.optimizer = self._make_optimizer()
        self.scaler = GradScaler(
            torch.device(options.device).type, enabled=options.amp == "float16"
        )
        compiled = torch.compile(self.model) if options.compile else self.model
        self.forward = cast(nn.Module, compiled)
        self.seconds, self.best, self.started = 0.0, cast(Best | None, None), 0.0

    def _make_optimizer(self) -> Optimizer:
        options, plastic = self.options, bool(self.plasticity)
        if options.optimizer is None:
            numbers = options.lr, options.weight_decay, options.betas
            return adamw(self.model, *numbers, plastic=plastic)
        return custom_optimizer(options.optimizer, self.model, options.lr, options.weight_decay)

    def start(self, run: Path, resume: bool) -> int:
        """Read the last checkpoint of a run, or write the first one; returns the steps done."""
        self.run = run
        done, self.seconds, self.best = start(
            self.run, self.model, self.optimizer, self.scaler, self.plasticity, self.fingerprint,
            resume=resume, changes=self.options.changes, save=self._save, averages=self.averages,
        )  # fmt: skip
        for each in self.plasticity.graphs:
            graph = each.graph(self.model)
            checkpoint.begin_history(self.run, done, graph, self.permutation, each.log_name)
        self.batches = self._batches(done)
        self.started = time.perf_counter() - self.seconds
        return done

    def _batches(self, done: int) -> Iterator[Batch]:
        """The batches of all steps to come; which samples they hold depends on seed and step."""
        size, options = self.plasticity.fitted.size("train"), self.options
        order = (
            batch_indices(step, options.batch_size, size, options.seed)
            for step in range(done, self.steps)
        )
        return self.plasticity.fitted.batches("train", order)

    def step(self, step: int) -> dict[str, float]:
        """One optimizer step; what the log says of it."""
        options = self.options
        batch = self._augmented(next(self.batches), step - 1)
        rate = self._rate(step - 1)
        set_learning_rate(self.optimizer, rate)
        values = train_step(
            self.forward,
            batch,
            weights_at(self.terms, step - 1, self.steps),
            self.optimizer,
            self.scaler,
            step=step,
            learn=self.learn,
            clip=options.clip,
            parts=options.grad_accumulation,
            amp=options.amp,
            watch=partial(self.plasticity.watch, self.model),
            skip=self.plasticity.skip(step),
        )
        after_step(self.model)
        for average in self.averages:
            average.update_parameters(self.model)
        return {"step": step, "lr": rate, **values}

    def _augmented(self, batch: Batch, step: int) -> Batch:
        if self.augmentation is None:
            return batch
        stream = generator(self.options.seed, "augmentation", step)
        return batch._replace(inputs=self.augmentation(batch.inputs, generator=stream))

    def _rate(self, step: int) -> float:
        options = self.options
        if options.schedule is not None:
            return schedule_rate(options.schedule, step, self.steps, options.lr)
        return learning_rate(step, self.steps, options.lr, options.warmup, options.min_lr)

    def rewire_if_due(self, step: int) -> dict[str, Any]:
        """Updates of the edges of those graphs where one is due; their metrics."""
        entry: dict[str, Any] = {}
        for each in self.plasticity.due(step):
            update = each.plasticity.update(
                self.model,
                self.optimizer,
                step,
                *each.samples(self.plasticity.scoring_set, self.augmentation),
                per_sample(self.data.task),
                self.averages,
            )
            change = update.number, update.rewiring, self.permutation
            checkpoint.write_event(self.run, step, *change, each.log_name)
            entry |= each.named(update.metrics)
        return entry

    def score_if_due(self, step: int) -> dict[str, float]:
        """Scores where they are due."""
        if not _due(step, self.options.evaluate_every):
            return {}
        held_out = self.data.held_out == "validation"
        return run_scores(self.model, self.data, self.metrics, held_out)

    def save_if_due(self, step: int, entry: Mapping[str, Any], log: Log) -> None:
        """A checkpoint where one is due, and a copy of it if it is the best so far."""
        self.seconds = time.perf_counter() - self.started
        won = better(self.best, self.metric, entry, step)
        self.best = won or self.best
        if won or _due(step, self.options.checkpoint_every) or step == self.steps:
            log.sync()
            self._save(step, self.seconds, self.best)
        if won:
            checkpoint.keep_best(self.run)

    def _save(self, step: int, seconds: float, best: Best | None) -> None:
        checkpoint.save(
            self.run,
            self.model,
            step=step,
            optimizer=self.optimizer,
            scaler=self.scaler,
            train_seconds=seconds,
            permutation=self.permutation,
            plasticity=self.plasticity.state_dict(),
            about=checkpoint.About(self.fingerprint, best),
            averages=self.averages,
        )

    def finish(self) -> dict[str, Value]:
        """Score, and write the summary."""
        held_out = self.options.evaluate_test
        scores = run_scores(self.model, self.data, self.metrics, held_out)
        if won := better(self.best, self.metric, scores, self.steps):
            self.best = won
            self._save(self.steps, self.seconds, self.best)
            checkpoint.keep_best(self.run)
        best, changes = self.best, checkpoint.read_changes(self.run)
        summary = {
            **dict.fromkeys(("test_accuracy", "train_accuracy")),
            **scores,
            **({} if best is None else {"best_step": best.step}),
            **({} if best is None else {f"best_{best.metric}": best.value}),
            **describe_model(self.model, self.unit),
            "seed": self.options.seed,
            "steps": self.steps,
            **self.plasticity.summary(self.model, self.steps),
            **({"changes": describe_changes(changes)} if changes else {}),
            "train_seconds": self.seconds,
            **describe_machine(torch.device(self.options.device)),
        }
        checkpoint.write_text(self.run / "summary.json", json.dumps(summary, indent=2) + "\n")
        return summary


def _unit(geometry: Places | None) -> str | None:
    """The unit of lengths, which all geometries of a model share."""
    for place in geometry.values() if isinstance(geometry, Mapping) else (geometry,):
        first = place[0] if isinstance(place, tuple) else place
        return None if first is None else first.unit
    return None


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
