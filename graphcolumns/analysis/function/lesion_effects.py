"""What lesions do to the scores of a model, paired sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from graphcolumns.analysis.function.lesions import Lesion, lesioned
from graphcolumns.data import AnyDataset, Task
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.protocols import prediction_of
from graphcolumns.nn.recording import evaluating


class LesionRow(NamedTuple):
    """One metric after one lesion.

    Attributes:
        lesion: Name of the lesion.
        metric: ``"loss"``, or a metric of the task.
        intact: Score of the model as it is.
        lesioned: Score after the lesion.
        difference: Difference ``lesioned - intact``.
        low: 2.5 % point of the difference over resampled samples.
        high: 97.5 % point.
    """

    lesion: str
    metric: str
    intact: float
    lesioned: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, eq=False, repr=False)
class LesionEffects:
    """Effects of several lesions on the same samples.

    Attributes:
        rows: A row for every lesion and metric.
        loss_differences: Loss of every sample after each lesion minus that before, ``{name: [n]}``
            float64. Those of two data sets with the same samples, such as clean and degraded ones,
            may be subtracted sample by sample: a paired test of an interaction.
    """

    rows: tuple[LesionRow, ...]
    loss_differences: Mapping[str, Tensor]

    def __repr__(self) -> str:
        return f"LesionEffects({len(self.loss_differences)} lesions, {len(self.rows)} rows)"

    def row(self, lesion: str, metric: str) -> LesionRow:
        """The row of one lesion and metric.

        Raises:
            ValueError: There is none.
        """
        for found in self.rows:
            if (found.lesion, found.metric) == (lesion, metric):
                return found
        known = ", ".join(f"{r.lesion!r} {r.metric!r}" for r in self.rows)
        raise ValueError(f"there must be such a row, one of {known}. Got {lesion!r} {metric!r}.")

    def to_markdown(self) -> str:
        """All rows as a table."""
        names = ("lesion", "metric", "intact", "lesioned", "difference", "95 %")
        lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
        for row in self.rows:
            scores = f"{row.intact:.3f} | {row.lesioned:.3f} | {row.difference:+.3f}"
            interval = f"{row.low:+.3f} to {row.high:+.3f}"
            lines.append(f"| {row.lesion} | {row.metric} | {scores} | {interval} |")
        return "\n".join(lines)


def lesion_effects(
    model: nn.Module,
    data: AnyDataset,
    lesions: Mapping[str, Lesion],
    *,
    half: str = "test",
    batch_size: int = 256,
    permutation: Tensor | None = None,
    resamples: int = 200,
    seed: int = 0,
    progress: bool = False,
) -> LesionEffects:
    """Loss and metrics of the task with and without every lesion, without dropout.

    Intervals are of the difference on the same samples, over samples drawn with replacement: they
    do not cover the seed of the training. A lesion of as many columns or edges drawn at random is
    the control of any claim on some of them.

    Args:
        model: Model on the device of the data; it is not changed.
        data: Data set with a task.
        lesions: Lesions by name.
        half: ``"train"`` or ``"test"``, the held-out half.
        batch_size: Number of samples at a time.
        permutation: User's id of each column of the model, see :func:`lesioned`.
        resamples: Number of draws of the interval.
        seed: Seed of these.
        progress: Whether to show a progress bar.

    Raises:
        ValueError: No lesion, or one that does not fit the model, see :func:`lesioned`.
        TypeError: As :func:`lesioned`.
    """
    check_counts(batch_size=batch_size, resamples=resamples)
    if not lesions:
        raise ValueError("lesions must name at least one. Got none; pass {'name': Lesion(...)}.")
    before, targets = _answers(model, data, half, batch_size)
    generator, count = torch.Generator().manual_seed(seed), len(targets)
    draws = [torch.randint(count, (count,), generator=generator) for _ in range(resamples)]
    draws = [draw.to(targets.device) for draw in draws]
    rows: list[LesionRow] = []
    losses: dict[str, Tensor] = {}
    known = _resampled(data.task, before, targets, draws)
    for name, lesion in tqdm(lesions.items(), "lesions", disable=not progress):
        kinds = (lesion.columns, lesion.edges)
        with lesioned(model, *kinds, graph=lesion.graph, permutation=permutation) as cut:
            after, _ = _answers(cut, data, half, batch_size)
        scores = _resampled(data.task, after, targets, draws)
        rows += [_row(name, metric, known[metric], scores[metric]) for metric in known]
        pair = [data.task.per_sample(part, targets).double().cpu() for part in (before, after)]
        losses[name] = pair[1] - pair[0]
    return LesionEffects(tuple(rows), losses)


@torch.no_grad()
def _answers(
    model: nn.Module, data: AnyDataset, half: str, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Predictions and targets of all samples."""
    predictions, targets = [], []
    with evaluating(model):
        for inputs, part in data.in_order(half, batch_size, data.num_scored(half)):
            predictions.append(prediction_of(model(inputs), len(part)).float())
            targets.append(part)
    return torch.cat(predictions), torch.cat(targets)


def _resampled(
    task: Task, prediction: Tensor, targets: Tensor, draws: list[Tensor]
) -> dict[str, Tensor]:
    """Scores by name of all samples and of those of every draw, ``[1 + draws]`` float64."""
    loss = task.per_sample(prediction, targets).double().cpu()
    found = {"loss": torch.stack([loss.mean(), *(loss[draw.cpu()].mean() for draw in draws)])}
    for name, metric in task.metrics.items():
        values = [metric.function(prediction, targets)]
        values += [metric.function(prediction[draw], targets[draw]) for draw in draws]
        found[name] = torch.tensor([float(value) for value in values], dtype=torch.float64)
    return found


def _row(lesion: str, metric: str, before: Tensor, after: Tensor) -> LesionRow:
    difference = after - before
    low, high = torch.quantile(difference[1:], torch.tensor([0.025, 0.975]).double()).tolist()
    scores = float(before[0]), float(after[0]), float(difference[0])
    return LesionRow(lesion, metric, *scores, low, high)
