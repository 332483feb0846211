"""Columns in space that a reader can turn, by plotly, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from graphcolumns.analysis.draw import scale
from graphcolumns.analysis.layout import is_spatial, triangles
from graphcolumns.geometry import Geometry

# From the left, a little from behind and above (x runs right, y to the front): a left hemisphere
# shows its side, a stack its sheets one behind the other.
EYE = {"x": -1.35, "y": -0.75, "z": 0.45}
DIGITS = 4  # of values: enough to look at, and a third of the bytes


def installed() -> bool:
    """Whether plotly can be imported."""
    return find_spec("plotly") is not None


def plotly_script() -> str:
    """The library that every view on a page shares (about 5 MB)."""
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return text


def spatial(
    geometry: Geometry,
    maps: Mapping[str, np.ndarray],
    label: str,
    edges: tuple[np.ndarray, np.ndarray] | None = None,
    one_scale: bool = True,
) -> str | None:
    """A surface or cloud of columns coloured by one of several maps, which buttons choose.

    Args:
        geometry: Columns that fill space; otherwise, and without plotly, the answer is None.
        maps: Values ``[N]`` by name.
        label: Label of the colour scale.
        edges: Targets and sources of edges that are drawn as lines.
        one_scale: Whether all maps share one colour scale.

    Returns:
        HTML without the library itself, see ``script``.
    """
    if not installed() or not is_spatial(geometry):
        return None
    import plotly.graph_objects as go

    positions = geometry.positions.detach().cpu().double()
    # Axes are hidden, so only the spread is seen; plotly rounds to float32, which needs it centred.
    places = (positions - positions.mean(0)).float().numpy()
    faces = triangles(geometry) if maps else None
    parts: list[Any] = [_columns(go, places, faces, coloured=bool(maps))]
    if edges is not None:
        parts.append(_lines(go, places, *edges))
    figure = go.Figure(parts)
    hidden = {"visible": False}
    figure.update_layout(
        scene={
            "xaxis": hidden,
            "yaxis": hidden,
            "zaxis": hidden,
            "aspectmode": "data",
            "camera": {"eye": EYE},
        },
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        height=460,
    )
    if maps:
        key = "marker.color" if faces is None else "intensity"
        states = _states(maps, key, one_scale)
        colour, ends = states[0]
        figure.data[0].update({key.replace(".", "_"): colour[key][0]})
        figure.update_layout(
            coloraxis={"colorscale": "Viridis", "colorbar": {"title": label, "thickness": 12}},
            **{name.replace(".", "_"): end for name, end in ends.items()},
            updatemenus=_buttons(list(maps), states),
        )
    options = {"displaylogo": False, "displayModeBar": False}
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, config=options)
    return html


def _columns(go: Any, places: np.ndarray, faces: np.ndarray | None, coloured: bool) -> Any:
    """A surface, or a dot per column."""
    x, y, z = places.T
    names = [f"column {column}" for column in range(len(places))]
    if faces is not None:
        i, j, k = faces.T
        return go.Mesh3d(
            x=x, y=y, z=z, i=i, j=j, k=k, coloraxis="coloraxis", hovertext=names, hoverinfo="text"
        )
    size = float(np.clip(60 / len(places) ** 0.5, 1, 5))
    marker = {"size": size} | ({"coloraxis": "coloraxis"} if coloured else {"color": "#888"})
    return go.Scatter3d(
        x=x, y=y, z=z, mode="markers", marker=marker, hovertext=names, hoverinfo="text",
        showlegend=False,
    )  # fmt: skip


def _states(
    maps: Mapping[str, np.ndarray], key: str, one_scale: bool
) -> list[tuple[dict[str, Any], dict[str, float]]]:
    """What each button sets: the values under ``key``, and the ends of the colour scale."""
    every = np.concatenate(list(maps.values()))
    states = []
    for values in maps.values():
        norm = scale(every if one_scale else values)
        ends = {"coloraxis.cmin": float(norm.vmin or 0), "coloraxis.cmax": float(norm.vmax or 0)}
        states.append(({key: [_short(values)]}, ends))
    return states


def _buttons(names: list[str], states: list[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """One button per map; none for a single one."""
    if len(names) < 2:
        return []
    buttons = [
        {"label": name, "method": "update", "args": [colour, ends, [0]]}
        for name, (colour, ends) in zip(names, states, strict=True)
    ]
    place = {"type": "buttons", "direction": "right", "x": 0, "xanchor": "left", "y": 1.08}
    return [place | {"buttons": buttons, "yanchor": "bottom", "pad": {"b": 2}}]


def _lines(go: Any, places: np.ndarray, targets: np.ndarray, sources: np.ndarray) -> Any:
    """One line with gaps through all edges."""
    gap = np.full_like(places[targets], np.nan)
    path = np.stack([places[sources], places[targets], gap], axis=1).reshape(-1, 3)
    x, y, z = path.T
    style = {"color": "#1f77b4", "width": 1.5}
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line=style, hoverinfo="skip", showlegend=False)


def _short(values: np.ndarray) -> list[float]:
    """Numbers with ``DIGITS`` significant digits, as they will stand in the page."""
    return [float(f"{value:.{DIGITS}g}") for value in values.tolist()]
