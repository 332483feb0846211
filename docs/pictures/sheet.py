"""The picture of the front page: a trained sheet, what it sees, and whom its columns listen to.

    python docs/pictures/sheet.py [RUN]

Without a run folder it trains one first (`experiment=matching`, a few minutes). The columns and the
edges are those of the run; colour is attention, averaged over held-out inputs, heads and steps, and
the activity of the columns after the last step.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize

from graphcolumns.analysis import Observation, observe
from graphcolumns.cli import load, main

PICTURE = Path(__file__).parents[1] / "_static" / "sheet.png"
HEIGHT = 4.9  # between sheets on the page
SLANT = np.array([[1.45, 0.0], [0.75, -0.5]])  # a step in column, in row -> (across, up)
DEGREE = 8  # in-edges per column
INK, ACCENT = "#22223b", "#0077b6"
HEARD = LinearSegmentedColormap.from_list("heard", ["#e6e6ee", "#f6ae5a", "#d1495b", "#4a0d2e"])


def draw(seen: Observation) -> plt.Figure:
    """The stack with its input below, and the lengths of its edges beside it."""
    figure = plt.figure(figsize=(11, 6.6))
    stack = figure.add_axes((0.0, 0.01, 0.70, 0.98))
    _sheets(stack)
    _input(stack, seen)
    edges = _edges(stack, seen)
    columns = _columns(stack, seen)
    stack.set(aspect="equal", xlim=(-13.2, 10.8))
    stack.axis("off")
    _bar(figure, edges, (0.735, 0.90, 0.25, 0.022), "attention, share of what a column hears")
    _bar(figure, columns, (0.735, 0.77, 0.25, 0.022), "activity of a column, mean |state|")
    _lengths(figure.add_axes((0.735, 0.42, 0.25, 0.21)), seen)
    _attention(figure.add_axes((0.735, 0.12, 0.25, 0.21)), seen)
    return figure


def place(geometry) -> np.ndarray:
    """Across and up on the page for every column of a stack, `[N, 2]`."""
    positions = geometry.positions.numpy()
    flat = positions[:, [2, 1]] @ SLANT
    return flat + np.outer(geometry.areas.numpy() + 1, [0.0, HEIGHT])


def _sheets(axes: plt.Axes) -> None:
    corners = np.array([[-4.7, -4.7], [4.7, -4.7], [4.7, 4.7], [-4.7, 4.7]]) @ SLANT
    for level, name in enumerate(("input", "sheet 0", "sheet 1", "sheet 2")):
        outline = corners + np.array([0.0, level * HEIGHT])
        axes.fill(*outline.T, facecolor="#f7f7fb", edgecolor="#c9c9d6", lw=0.8, zorder=1)
        x, y = outline[0]
        axes.text(x - 0.3, y - 0.5, name, ha="right", va="top", color=INK, fontsize=11)


def _input(axes: plt.Axes, seen: Observation) -> None:
    """The image, and around the two symbols that have to be compared a frame."""
    image = seen.inputs[0, 0].numpy()
    side = np.linspace(-4.57, 4.57, image.shape[0] + 1)
    grid = np.stack(np.meshgrid(side, side), axis=-1) @ SLANT
    axes.pcolormesh(*np.moveaxis(grid, -1, 0), image, cmap="gray_r", zorder=2, edgecolor="none")
    frame = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]])
    for start in (0, image.shape[0] - 2):
        axes.plot(*(side[frame + start] @ SLANT).T, color=ACCENT, lw=2, zorder=3)


def _edges(axes: plt.Axes, seen: Observation) -> LineCollection:
    source, target = seen.graph.edge_index.numpy()
    weight = seen.wiring.attention.mean(0).numpy()
    others = np.flatnonzero(source != target)
    others = others[np.argsort(weight[others])]  # strong ones on top
    ends = place(seen.geometry)
    lines = [_arc(ends[source[e]], ends[target[e]]) for e in others]
    collection = LineCollection(lines, cmap=HEARD, norm=Normalize(0.1, 0.5), capstyle="round")
    collection.set_array(weight[others])
    collection.set_linewidths(0.5 + 6 * np.clip(weight[others] - 1 / DEGREE, 0, 0.4))
    collection.set_zorder(4)
    axes.add_collection(collection)
    return collection


def _arc(start: np.ndarray, end: np.ndarray, points: int = 16) -> np.ndarray:
    """A line from start to end that bows a little to its left, so that two ways can be told."""
    t = np.linspace(0, 1, points)[:, None]
    across = np.array([start[1] - end[1], end[0] - start[0]])
    return start + t * (end - start) + 0.25 * t * (1 - t) * across


def _columns(axes: plt.Axes, seen: Observation) -> PathCollection:
    activity = seen.activity[-1].numpy()
    size = 12 + 90 * activity / activity.max()
    style = {"cmap": "YlGnBu", "edgecolor": INK, "linewidth": 0.5, "zorder": 5}
    return axes.scatter(*place(seen.geometry).T, c=activity, s=size, vmin=0, **style)


def _bar(figure: plt.Figure, shown, box: tuple, label: str) -> None:
    bar = figure.colorbar(shown, cax=figure.add_axes(box), orientation="horizontal")
    bar.solids.set_alpha(1.0)
    bar.set_label(label, color=INK, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def _lengths(axes: plt.Axes, seen: Observation) -> None:
    length = seen.graph.distance.numpy()
    axes.hist(length[length > 0], bins=np.arange(0, 13, 1), color="#4a4e69", rwidth=0.9)
    axes.set(xlabel="edge length (pixel)", ylabel="edges")
    _tidy(axes)


def _attention(axes: plt.Axes, seen: Observation) -> None:
    length, weight = seen.graph.distance.numpy(), seen.wiring.attention.mean(0).numpy()
    axes.scatter(length, weight, s=5, color="#4a4e69", alpha=0.4, linewidths=0)
    axes.axhline(1 / DEGREE, color=ACCENT, lw=1)
    axes.text(10.2, 0.6 / DEGREE, "uniform", color=ACCENT, fontsize=8, ha="right", va="top")
    axes.set(xlabel="edge length (pixel)", ylabel="attention")
    _tidy(axes)


def _tidy(axes: plt.Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_size(9)
    axes.yaxis.label.set_size(9)


if __name__ == "__main__":
    run = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(mkdtemp()) / "matching"
    if not run.exists():
        main(["train", "experiment=matching", f"run={run}", "report=false"])
    parts = load(run)
    seen = observe(parts.model, parts.data, parts.geometry, parts.permutation, samples=512)
    draw(seen).savefig(PICTURE, dpi=150, metadata={"Software": None})
    print(PICTURE)
