"""Results of a task: confusions of classes, restored images, yes-or-no answers, responses."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix
from torch import Tensor

from graphcolumns.analysis import draw
from graphcolumns.analysis.figures.responses import responses
from graphcolumns.analysis.layout import panels
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.data import Dataset
from graphcolumns.nn.batches import first_tensor

SHOWN = 8  # restored images


def results(seen: Observation, data: Dataset) -> Picture | None:
    """The picture of results that fits the task, or None."""
    if data.task.answers == "classes":
        return confusion(seen)
    if data.task.answers == "bits":
        return answers(seen)
    if are_images(seen):
        return restored(seen)
    return responses(seen, data.spec.targets.unit)


def are_images(seen: Observation) -> bool:
    """Whether the inputs are images, and the targets and predictions images of the same size."""
    if not isinstance(seen.inputs, Tensor) or seen.inputs.ndim != 4:
        return False
    size = seen.inputs.flatten(1).shape
    return seen.targets.flatten(1).shape == seen.prediction.flatten(1).shape == size


def confusion(seen: Observation) -> Picture:
    """Classes against answers."""
    classes = seen.prediction.shape[1]
    names = seen.classes or tuple(map(str, range(classes)))
    labels, answers = seen.targets.numpy(), seen.prediction.argmax(1).numpy()
    counts = confusion_matrix(labels, answers, labels=np.arange(classes))
    figure = Figure(figsize=(4.6, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.log1p(counts), cmap="Blues")
    axes.set(xlabel="answer", ylabel="class")
    if classes <= 20:
        axes.set_xticks(range(classes), names, rotation=90 if seen.classes else 0)
        axes.set_yticks(range(classes), names)
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if np.log1p(count) > 0.6 * np.log1p(counts.max()) else "black"
            if count:
                axes.text(column, row, count, ha="center", va="center", fontsize=7, color=colour)
    row, column = np.indices(counts.shape).reshape(2, -1)
    return Picture(
        "confusion",
        "Confusions",
        f"{len(labels)} held-out samples: {int((labels == answers).sum())} right. Off the "
        "diagonal: samples of the class in the row that were taken for that in the column.",
        png(figure),
        table(
            {
                "class": [names[i] for i in row],
                "answer": [names[i] for i in column],
                "samples": counts.ravel(),
            }
        ),
    )


def restored(seen: Observation) -> Picture:
    """Inputs, answers and clean images of a reconstruction."""
    inputs = first_tensor(seen.inputs)
    count = min(SHOWN, len(inputs))
    shape = (-1, *inputs.shape[1:])
    rows = {
        "input": inputs.reshape(shape),
        "answer": seen.prediction.reshape(shape),
        "clean": seen.targets.reshape(shape),
    }
    figure = Figure(figsize=(1.1 * count + 0.6, 3.6), layout="constrained")
    grid = figure.subplots(3, count, squeeze=False)
    # One scale per sample: an answer that is the same everywhere is as grey as it is.
    norms = [draw.scale(image) for image in rows["clean"].numpy().mean(1)[:count]]
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image, norm in zip(line, images.numpy().mean(1), norms, strict=False):
            axes.imshow(image, cmap="gray", norm=norm)
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(name)
    error = (rows["answer"] - rows["clean"]).square().flatten(1).mean(1).numpy()
    noise = (rows["input"] - rows["clean"]).square().flatten(1).mean(1).numpy()
    return Picture(
        "restored",
        "Restored images",
        f"Mean squared error over {len(error)} held-out samples: {error.mean():.4g}; of the input "
        f"as it came: {noise.mean():.4g}. Greys of a column are those of its clean image.",
        png(figure),
        table({"sample": np.arange(len(error)), "error": error, "error_of_input": noise}),
    )


def answers(seen: Observation) -> Picture:
    """How often each yes-or-no answer is right; on the sheet, if there is one per column."""
    right = ((seen.prediction > 0) == seen.targets.bool()).double().mean(0).numpy()
    geometry = seen.places(len(right))
    if geometry is not None:
        sides = panels(geometry)
        figure, axes = draw.panel_rows(sides, 1, height=2.6)
        norm = draw.scale(np.array([0.5, 1.0]))
        for cell, side in zip(axes[0], sides, strict=True):
            draw.paint(cell, side, right, norm)
            cell.set_title(side.title, fontsize=8)
        draw.bar(figure, axes, norm, "share of right answers")
    else:
        figure = Figure(figsize=(6, 2.6), layout="constrained")
        figure.subplots().plot(right, ".")
        figure.axes[0].set(xlabel="answer", ylabel="share that is right", ylim=(0, 1.02))
    return Picture(
        "answers",
        "Answers",
        f"Share of {len(seen.targets)} held-out samples for which each answer is right; guessing "
        f"gives 0.5. Mean {right.mean():.3g}, from {right.min():.3g} to {right.max():.3g}.",
        png(figure),
        table({"answer": np.arange(len(right)), "right": right}),
    )
