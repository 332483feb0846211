"""What was answered: confusions of classes, restored images, or yes-or-no answers."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from graphcolumns.analysis import draw
from graphcolumns.analysis.layout import panels
from graphcolumns.analysis.observe import Observation
from graphcolumns.analysis.picture import Picture, png, table

SHOWN = 8  # restored images


def confusion(seen: Observation) -> Picture:
    """Classes against answers."""
    classes = seen.prediction.shape[1]
    names = seen.classes or tuple(map(str, range(classes)))
    labels, answers = seen.labels.numpy(), seen.prediction.argmax(1).numpy()
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
    """Inputs, answers and clean images of a denoising task."""
    count = min(SHOWN, len(seen.inputs))
    shape = (-1, *seen.inputs.shape[1:])
    rows = {
        "input": seen.inputs.reshape(shape),
        "answer": seen.prediction.reshape(shape),
        "clean": seen.labels.reshape(shape),
    }
    figure = Figure(figsize=(1.1 * count + 0.6, 3.6), layout="constrained")
    grid = figure.subplots(3, count, squeeze=False)
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(line, images.numpy().mean(1), strict=False):
            axes.imshow(image, cmap="gray")
            axes.set_xticks([])
            axes.set_yticks([])
        line[0].set_ylabel(name)
    error = (rows["answer"] - rows["clean"]).square().flatten(1).mean(1).numpy()
    noise = (rows["input"] - rows["clean"]).square().flatten(1).mean(1).numpy()
    return Picture(
        "restored",
        "Restored images",
        f"Mean squared error over {len(error)} held-out samples: {error.mean():.4g}; of the input "
        f"as it came: {noise.mean():.4g}.",
        png(figure),
        table({"sample": np.arange(len(error)), "error": error, "error_of_input": noise}),
    )


def answers(seen: Observation) -> Picture:
    """How often each yes-or-no answer is right; on the sheet, if there is one per column."""
    right = ((seen.prediction > 0) == seen.labels.bool()).double().mean(0).numpy()
    if len(right) == seen.geometry.num_columns:
        sides = panels(seen.geometry)
        figure, axes = draw.rows(sides, 1, height=2.6)
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
        f"Share of {len(seen.labels)} held-out samples for which each answer is right; guessing "
        f"gives 0.5. Mean {right.mean():.3g}, from {right.min():.3g} to {right.max():.3g}.",
        png(figure),
        table({"answer": np.arange(len(right)), "right": right}),
    )
