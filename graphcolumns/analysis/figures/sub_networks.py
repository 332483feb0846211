"""Which neurons the instructions of a model open: shares, overlaps, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from graphcolumns.analysis import draw
from graphcolumns.analysis.layout import Floats, panels
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.analysis.sub_networks import SubNetworks
from graphcolumns.geometry import Geometry

SHOWN = 6  # populations on the sheet
NUMBERED = 60  # cells of the picture of shares that have numbers
# Open for neither of two tasks, the first, the second, both (Okabe and Ito).
NEITHER, FIRST, SECOND, BOTH = "#E6E6E6", "#0072B2", "#E69F00", "#333333"


def open_shares(found: SubNetworks, names: Sequence[str]) -> Picture:
    """Share of every population that each task opens, and the overlap of tasks.

    Args:
        found: Sub-networks of ``T`` tasks.
        names: Names of the tasks.
    """
    shares = np.stack([share.numpy() for share in found.shares.values()], 1)
    pairs = np.triu_indices(len(names), 1)
    overlaps = [overlap.numpy()[pairs] for overlap in found.overlaps().values()]
    cosines = [overlap.numpy()[pairs] for overlap in found.overlaps("cosine").values()]
    columns: dict[str, list[Any]] = {"population": list(found.gates)}
    columns |= {f"open_{name}": shares[t].tolist() for t, name in enumerate(names)}
    columns |= {"iou": _means(overlaps), "cosine": _means(cosines)}
    return Picture(
        "sub_networks",
        "Sub-networks of the tasks",
        f"Left: share of the neurons of each population that an instruction opens, of {len(names)} "
        "tasks. Right: overlap of the sub-networks of two tasks, intersection over union (IoU) and "
        "cosine, mean over pairs of tasks; 1 where tasks open the same neurons.",
        png(_shares(shares, overlaps, cosines, list(found.gates), names)),
        table(columns),
    )


def open_columns(
    found: SubNetworks, seen: Observation, names: Sequence[str], user: Tensor | None = None
) -> Picture | None:
    """Where the columns are that each task opens; None without columns on a geometry.

    Args:
        found: Sub-networks of ``T`` tasks.
        seen: Observation of the same model.
        names: Names of the tasks.
        user: The user's id of each column of the model, ``[N]`` (default: the same).
    """
    here = {
        name: _by_user(found.gates[name], user)
        for name in found.columns
        if seen.places(found.gates[name].shape[1]) is not None
    }
    if not here or seen.geometry is None:
        return None
    two = len(names) == 2 and all(gate.shape[2] == 1 for gate in here.values())
    columns: dict[str, Any] = {"column": np.arange(seen.geometry.num_columns)}
    for name, gate in here.items():
        shares = gate.double().mean(2).numpy()
        columns |= {f"{name}_{task}": shares[t] for t, task in enumerate(names)}
    shown = {name: here[name] for name in _spread(list(here))}
    text = (
        f"Columns that are open for {names[0]}, for {names[1]}, for both or neither, at each step."
        if two
        else "Number of tasks that open a column, mean over its channels, at each step."
    )
    draw_them = _kinds if two else _counts
    return Picture(
        "open_columns",
        "Sub-networks on the sheet",
        f"{text} The bottom-up stream goes from the first population to the last, the instruction "
        "the other way.",
        png(draw_them(shown, seen.geometry, names)),
        table(columns),
    )


def _shares(
    shares: Floats,
    overlaps: list[Floats],
    cosines: list[Floats],
    populations: list[str],
    names: Sequence[str],
) -> Figure:
    count = len(populations)
    tall = max(1.8, 0.28 * len(names) + 1.2)
    figure = Figure(figsize=(8.5, max(tall, 0.3 * count + 1.2)), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    left.imshow(shares.T, cmap=draw.MAP, norm=Normalize(0, 1), aspect="auto")
    left.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    left.set_yticks(range(count), populations)
    left.set_title("share of open neurons", fontsize=9)
    if shares.size <= NUMBERED:
        for (task, place), share in np.ndenumerate(shares):
            colour = "white" if share < 0.6 else "black"
            left.text(task, place, f"{share:.2f}", ha="center", va="center", color=colour)
    at = np.arange(count)
    for values, mark, label in ((overlaps, "o", "IoU"), (cosines, "x", "cosine")):
        right.plot(_means(values), at, mark, label=label, color=draw.BORN)
    right.set(xlim=(0, 1.03), ylim=(count - 0.5, -0.5), yticks=[])
    right.set_xlabel("overlap of two tasks")
    right.grid(alpha=0.25)
    right.legend(fontsize=8, frameon=False, loc="best")
    return figure


def _kinds(shown: dict[str, Tensor], geometry: Geometry, names: Sequence[str]) -> Figure:
    """Columns coloured by which of two tasks open them."""
    colours = (NEITHER, FIRST, SECOND, BOTH)
    labels = ("neither", f"only {names[0]}", f"only {names[1]}", "both")
    values = {
        name: (gate[0, :, 0].double() + 2 * gate[1, :, 0].double()).numpy()
        for name, gate in shown.items()
    }
    figure = _maps(values, geometry, Normalize(-0.5, 3.5), ListedColormap(colours))
    patches = [Patch(facecolor=c, label=text) for c, text in zip(colours, labels, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _counts(shown: dict[str, Tensor], geometry: Geometry, names: Sequence[str]) -> Figure:
    """Columns coloured by the number of tasks that open them."""
    values = {name: gate.double().sum(0).mean(1).numpy() for name, gate in shown.items()}
    norm = Normalize(0, len(names))
    figure = _maps(values, geometry, norm, draw.MAP)
    draw.bar(figure, figure.axes, norm, "number of tasks")
    return figure


def _maps(
    values: dict[str, Floats], geometry: Geometry, norm: Normalize, cmap: str | ListedColormap
) -> Figure:
    """A row of panels per side of the geometry, a column per population."""
    sides = panels(geometry)
    size = (max(1.9 * len(values), 3.5), 2.0 * len(sides) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(sides), len(values), squeeze=False)
    for row, side in zip(axes, sides, strict=True):
        for cell, (name, colours) in zip(row, values.items(), strict=True):
            draw.paint(cell, side, colours, norm, cmap)
            cell.set_title(f"{side.title}\n{name}".strip(), fontsize=8)
    return figure


def _by_user(gate: Tensor, user: Tensor | None) -> Tensor:
    return gate if user is None or gate.shape[1] != len(user) else gate[:, user.cpu().argsort()]


def _spread(names: list[str]) -> list[str]:
    """At most ``SHOWN`` names, the first and the last among them."""
    places = np.linspace(0, len(names) - 1, min(SHOWN, len(names))).round().astype(int)
    return [names[place] for place in np.unique(places)]


def _means(values: list[Floats]) -> list[float]:
    """Means over pairs of tasks; NaN where there are none."""
    return [float(each[~np.isnan(each)].mean()) if (~np.isnan(each)).any() else np.nan
            for each in values]  # fmt: skip
