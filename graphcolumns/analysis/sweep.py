"""Many runs as one table and one figure."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import matplotlib
import yaml  # type: ignore[import-untyped]
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from graphcolumns.analysis.arms import flat, short, short_keys, with_choices
from graphcolumns.analysis.picture import png, table

# What differs between runs without being an arm of the sweep.
PLACES = ("run", "name", "hydra")
SEED = "seed"
# The first of these that every run has is drawn.
SCORES = ("test_accuracy", "validation_accuracy", "test_loss", "validation_loss")
ROWS, COLUMNS = 24, 3  # of the legend at most
MARKERS = "os^Dv"

Row = dict[str, Any]


def collect(
    folder: str | os.PathLike[str],
    upgrade: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> list[Row]:
    """One row per finished run below a folder: what was varied, then the results.

    Args:
        folder: Folder where a sweep wrote its run folders.
        upgrade: Function of a configuration that gives it the keys of today, so that runs of
            several versions have the same columns (default: as it is).

    Returns:
        Rows in the order of their paths. Keys: ``run`` (path below the folder), the keys of the
        configuration that differ between runs (dotted), ``seed``, and all of ``summary.json``. A
        part that is another function, such as a rule, has the name of that function.

    Raises:
        FileNotFoundError: No such folder, or no finished run below it.
        ValueError: A damaged file.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    found = []
    for path in sorted(folder.rglob("summary.json")):
        found.append((path.parent, upgrade(_read(path.parent / "config.yaml")), _read(path)))
    if not found:
        raise FileNotFoundError(
            f"there is no finished run below {folder}: no summary.json. Did the sweep finish?"
        )
    configs = with_choices([flat(config) for _, config, _ in found])
    keys = varied(configs)
    return [
        {"run": run.relative_to(folder).as_posix()}
        | {key: config.get(key) for key in keys}
        | {SEED: config.get(SEED)}
        | summary
        for (run, _, summary), config in zip(found, configs, strict=True)
    ]


def varied(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of flat configurations whose value is not the same in all, without the seed.

    For a number that is said once and used in several places (``degree``, ``graph.degree``), the
    place with the fewest dots is kept.
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    values = {key: [repr(config.get(key)) for config in configs] for key in keys}
    differ = [
        key
        for key in keys
        if key.split(".")[0] not in (*PLACES, SEED) and len(set(values[key])) > 1
    ]
    kept: dict[tuple[str, ...], str] = {}
    for key in sorted(differ, key=lambda key: key.count(".")):
        kept.setdefault((key.split(".")[-1], *values[key]), key)
    return [key for key in differ if key in kept.values()]


def sweep_figure(
    rows: Sequence[Row],
    x: str | None = None,
    y: str | None = None,
    panel: str | None = None,
) -> Figure:
    """A result against what was varied: mean and standard deviation over seeds.

    Args:
        rows: Rows that ``collect`` returned.
        x: Varied key (default: the one with most different numbers, else with most values).
        y: Result (default: the accuracy on the held-out half, or its loss).
        panel: Varied key with one panel per value (default: one panel). What is left makes
            lines.

    Raises:
        ValueError: An unknown key; the message names the known ones.
    """
    arms = [key for key in rows[0] if key in _arms(rows)]
    y = y or next((name for name in SCORES if all(r.get(name) is not None for r in rows)), None)
    _check("y", y, _numbers(rows))
    for name, key in (("x", x), ("panel", panel)):
        if key is not None:
            _check(name, key, [*arms, SEED])
    if x is None:
        x = max((k for k in arms if k != panel), key=lambda k: _spread(rows, k), default=SEED)
    lines = [key for key in arms if key not in (x, panel)]
    panels = sorted({repr(row[panel]) for row in rows}) if panel else [""]
    places = len({repr(row[x]) for row in rows})
    wide = max(4.6, 0.3 * places) if not all(_is_number(row[x]) for row in rows) else 4.6
    drawn = Figure(figsize=(1.2 + wide * len(panels), 3.6), layout="constrained")
    axes = drawn.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for place, value in zip(axes, panels, strict=True):
        own = [row for row in rows if panel is None or repr(row[panel]) == value]
        _draw(place, own, x, str(y), lines)
        place.set_title("" if panel is None else f"{panel} = {short(own[0][panel])}", fontsize=9)
    axes[0].set_ylabel(str(y))
    _legend(drawn, axes)
    return drawn


def save_sweep(
    folder: str | os.PathLike[str], rows: Sequence[Row], drawn: Figure
) -> tuple[Path, Path]:
    """Write ``sweep.csv`` and ``sweep.png`` into a folder, in place of earlier ones."""
    folder = Path(folder).expanduser()
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {name: [_cell(row.get(name)) for row in rows] for name in names}
    written = folder / "sweep.csv", folder / "sweep.png"
    for path, content in zip(written, (table(columns).encode(), png(drawn)), strict=True):
        new = path.with_name(path.name + ".tmp")
        new.write_bytes(content)
        new.replace(path)
    return written


def _draw(axes: Axes, rows: Sequence[Row], x: str, y: str, lines: Sequence[str]) -> None:
    groups: dict[str, dict[Any, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = short_keys(lines)
    for row in rows:
        label = ", ".join(f"{names[key]}={short(row[key])}" for key in lines)
        groups[label][_hashable(row[x])].append(float(row[y]))
    numeric = all(_is_number(row[x]) for row in rows)
    places = sorted({_hashable(row[x]) for row in rows}, key=None if numeric else _none_first)
    at = {place: float(place) if numeric else index for index, place in enumerate(places)}
    colours = matplotlib.colormaps["tab20" if len(groups) > 10 else "tab10"]
    for index, (label, values) in enumerate(sorted(groups.items())):
        points = [p for p in places if p in values]
        spread = [stdev(values[p]) if len(values[p]) > 1 else 0.0 for p in points]
        # Side by side where x is no number: no line between categories, no bar on another.
        aside = 0.0 if numeric else 0.6 * ((index + 0.5) / len(groups) - 0.5)
        axes.errorbar(
            [at[p] + aside for p in points], [mean(values[p]) for p in points], spread,
            marker=MARKERS[index // colours.N % len(MARKERS)], markersize=4, capsize=3,
            linestyle="-" if numeric else "none", color=colours(index % colours.N), label=label,
        )  # fmt: skip
    if numeric and min(at.values()) > 0 and max(at.values()) > 20 * min(at.values()):
        axes.set_xscale("log")
    if not numeric or len(places) < 8:
        labels = [short(p) for p in places]
        axes.set_xticks([at[p] for p in places], labels, fontsize=8)
        axes.minorticks_off()
        if sum(map(len, labels)) > 36:
            axes.tick_params("x", rotation=90 if len(labels) > 16 else 35)
            for tick in axes.get_xticklabels():
                tick.set_horizontalalignment("center" if len(labels) > 16 else "right")
                tick.set_rotation_mode("default" if len(labels) > 16 else "anchor")
    axes.set_xlabel(x)
    axes.grid(alpha=0.25)


def _legend(drawn: Figure, axes: Sequence[Axes]) -> None:
    """Beside the panels, once for all of them, in as many columns as it takes."""
    shown = dict(zip(*reversed(_handles(axes)), strict=True))
    if len(shown) < 2:
        return
    columns = -(-len(shown) // ROWS)
    if columns > COLUMNS:
        axes[-1].set_title(f"{len(shown)} lines; --panel KEY parts them", fontsize=8, loc="right")
        return
    widest = max(map(len, shown))
    drawn.set_figwidth(drawn.get_figwidth() + columns * (0.5 + 0.065 * widest))
    drawn.set_figheight(max(drawn.get_figheight(), 0.5 + 0.16 * min(len(shown), ROWS)))
    drawn.legend(
        list(shown.values()), list(shown), loc="outside right upper", ncols=columns,
        frameon=False, fontsize=7,
    )  # fmt: skip


def _handles(axes: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    pairs = [
        pair for place in axes for pair in zip(*place.get_legend_handles_labels(), strict=True)
    ]
    return [handle for handle, _ in pairs], [label for _, label in pairs]


def _hashable(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value


def _none_first(value: Any) -> tuple[bool, str]:
    return value is not None, repr(value)


def _arms(rows: Sequence[Row]) -> list[str]:
    """Keys between ``run`` and the results."""
    names = list(rows[0])
    return names[1 : names.index(SEED)] if SEED in names else []


def _numbers(rows: Sequence[Row]) -> list[str]:
    arms = {"run", SEED, *_arms(rows)}
    return [k for k in rows[0] if k not in arms and all(_is_number(r.get(k)) for r in rows)]


def _spread(rows: Sequence[Row], key: str) -> tuple[bool, int]:
    values = [row[key] for row in rows]
    return all(map(_is_number, values)), len(set(map(repr, values)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(name: str, key: str | None, known: Sequence[str]) -> None:
    if key not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}. Got {key!r}.")


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _read(path: Path) -> dict[str, Any]:
    """A YAML or JSON file with keys."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: {path.parent} is not a whole run folder.")
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is damaged ({error}). Restore it from a copy.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds no keys. Restore it from a copy.")
    return content
