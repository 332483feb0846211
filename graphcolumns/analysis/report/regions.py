"""The chapter of a report about the regions of a cortex: scores, attention, surfaces."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.analysis.brain import (
    EncodingTable,
    TokenMaps,
    accuracy_maps,
    attention_figure,
    attention_maps,
    encoding_table,
    field_figure,
    mean_map_figure,
    query_fields,
    surface_figure,
    surface_view,
)
from graphcolumns.analysis.brain.query_fields import QueryFields
from graphcolumns.analysis.figures.regions import region_scores
from graphcolumns.analysis.interactive import installed
from graphcolumns.analysis.observation import Observation
from graphcolumns.analysis.picture import Picture, png, table
from graphcolumns.analysis.report.chapter import Chapter
from graphcolumns.analysis.watch import device_of_model
from graphcolumns.data import Dataset
from graphcolumns.data.regression import Regression
from graphcolumns.geometry import Regions
from graphcolumns.nn.batches import map_tensors, select_samples
from graphcolumns.nn.recording import evaluating

SAMPLES = 256  # that attention is averaged over
SHOWN = 5  # samples whose attention is drawn
FEW = 6  # queries whose attention is drawn
MOST = 2000  # queries whose receptive fields are in the chapter


class _Attention(NamedTuple):
    shown: TokenMaps
    mean: TokenMaps
    images: Tensor | None
    samples: int


def region_chapter(model: nn.Module, seen: Observation, data: Dataset) -> Chapter | None:
    """Scores, attention and receptive fields by region; None for data without regions.

    Attention is left out of models without it, and where tokens lie on no grid; surfaces where the
    geometry has another number of columns than there are targets.

    Args:
        model: Trained model.
        seen: Observation of it.
        data: Data set; its task is a regression with regions.
    """
    task = data.task
    if not isinstance(task, Regression) or task.regions is None or len(seen.targets) < 2:
        return None
    cpu = task.to("cpu")
    assert isinstance(cpu, Regression)
    table_of = encoding_table({"model": seen.prediction}, seen.targets, cpu)
    pictures = [region_scores(table_of)]
    found = _attention(model, seen, data, task.regions)
    if isinstance(found, _Attention):
        fields = query_fields(found.mean.mean())
        pictures += [_few(found), _means(found), _fields(found, fields)]
    pictures += _surfaces(seen, cpu)
    return Chapter(_text(table_of, found), pictures, "regions", "Regions")


def _attention(
    model: nn.Module, seen: Observation, data: Dataset, regions: Regions
) -> _Attention | str | None:
    """Attention of all queries, mean over samples, and of some to a few samples.

    None for a model without attention, or the reason why there are no maps of it.
    """
    method = getattr(model, "attention", None)
    if not callable(method) or isinstance(method, nn.Module):
        return None
    samples = min(SAMPLES, len(seen.targets))
    inputs = map_tensors(
        lambda x: x.to(device_of_model(model, x)), select_samples(seen.inputs, slice(samples))
    )
    try:
        with evaluating(model):
            mean = attention_maps(model, inputs, regions, average=True)
            few = _of_each_family(mean.names, regions)
            first = select_samples(inputs, slice(SHOWN))
            shown = attention_maps(model, first, regions, queries=few)
    except (TypeError, ValueError, NotImplementedError) as error:
        # A method that means something else, or tokens that are no grid: the rest is still seen.
        return str(error)
    if len(mean.names) > MOST:
        mean = TokenMaps(mean.maps[:MOST], mean.before[:MOST], mean.names[:MOST])
    return _Attention(shown, mean, _images(seen, data, SHOWN), samples)


def _of_each_family(names: tuple[str, ...], regions: Regions) -> list[int]:
    """A few queries: the first of every family, then the second, in the order of the model."""
    family = dict(zip(regions.names, regions.families, strict=True))
    found: dict[str, list[int]] = {}
    for query, name in enumerate(names):
        found.setdefault(family.get(name, ""), []).append(query)
    rounds = chain.from_iterable(zip_longest(*found.values()))
    return sorted([query for query in rounds if query is not None][:FEW])


def _images(seen: Observation, data: Dataset, count: int) -> Tensor | None:
    """The first images, where inputs have some."""
    image = data.spec.image
    if image is None:
        return None
    found = seen.inputs if isinstance(seen.inputs, Tensor) else seen.inputs[image.name]
    return found[:count] if found.shape[1] in (1, 3) else None


def _few(found: _Attention) -> Picture:
    maps = found.shown.maps
    query, sample, row, column = (
        x.numpy() for x in torch.meshgrid(*map(torch.arange, maps.shape), indexing="ij")
    )
    columns: dict[str, Any] = {"query": [found.shown.names[q] for q in query.ravel()]}
    columns |= {"sample": sample.ravel(), "row": row.ravel(), "column": column.ravel()}
    return Picture(
        "attention_of_regions",
        "Where regions attend",
        "Attention of a few regions to held-out samples, and the mean over these "
        f"{maps.shape[1]} samples. Colour: weight of a token divided by the even weight, mean over "
        "heads; 1 is no preference. Each row has its own scale. What moves with the sample is "
        "routed by content, what stays is a receptive field.",
        png(attention_figure(found.shown, found.images)),
        table(columns | {"weight": maps.flatten().numpy()}),
    )


def _means(found: _Attention) -> Picture:
    mean = found.mean.mean()
    row, column = (
        x.flatten().numpy()
        for x in torch.meshgrid(*map(torch.arange, mean.shape[1:]), indexing="ij")
    )
    weights = {
        name: each.flatten().numpy() for name, each in zip(found.mean.names, mean, strict=True)
    }
    return Picture(
        "mean_attention",
        "Mean attention",
        f"Attention of each query, mean over {found.samples} held-out samples, divided by the even "
        "weight; 1 is no preference. All maps have one scale.",
        png(mean_map_figure(found.mean)),
        table({"row": row, "column": column} | weights),
    )


def _fields(found: _Attention, fields: QueryFields) -> Picture:
    grid = tuple(found.mean.maps.shape[2:])
    rows, columns = fields.centre.t().numpy()
    return Picture(
        "fields_of_regions",
        "Receptive fields of regions",
        "Centre of mass and one standard deviation of the mean attention of each query, in tokens. "
        "A query that follows what is shown all over the image has a large field in the middle.",
        png(field_figure(fields, found.mean.names, (grid[0], grid[1]))),
        table(
            {"query": list(found.mean.names), "centre_row": rows, "centre_column": columns}
            | {"size": fields.size.numpy()}
        ),
    )


def _surfaces(seen: Observation, task: Regression) -> list[Picture]:
    """Accuracy by vertex, where the geometry has a column for each."""
    geometry = seen.places(seen.targets.shape[1])
    if geometry is None:
        return []
    maps = accuracy_maps(seen.prediction, seen.targets, task)
    view = None
    if installed() and geometry.faces is not None and len(geometry.faces):
        view = surface_view(maps, {"surface": geometry})
    columns: dict[str, Any] = {"vertex": range(geometry.num_columns)}
    columns |= {name.replace(" ", "_"): each.values.cpu().numpy() for name, each in maps.items()}
    return [
        Picture(
            "accuracy_on_surface",
            "Accuracy on the surface",
            "Correlation r of predicted and measured responses of each vertex over held-out "
            "samples, and its share r²/NC of the variance that can be explained where there are "
            "noise ceilings (no unit). Grey: vertices that do not count or have no ceiling.",
            png(surface_figure(maps, geometry)),
            table(columns),
            view,
        )
    ]


def _text(found: EncodingTable, attended: _Attention | str | None) -> str:
    """The regions in one or two sentences."""
    regions = [p for p, row in enumerate(found.rows) if row.kind == "region"]
    r = found.values[regions, 0, 0]
    known = [p for p, value in zip(regions, r.tolist(), strict=True) if value == value]
    said = f"{len(regions)} regions of {found.rows[0].vertices:,} vertices that count."
    if known:
        best = max(known, key=lambda p: float(found.values[p, 0, 0]))
        worst = min(known, key=lambda p: float(found.values[p, 0, 0]))
        said += (
            f" The median correlation is highest in {found.rows[best].name} "
            f"({float(found.values[best, 0, 0]):.3g}) and lowest in {found.rows[worst].name} "
            f"({float(found.values[worst, 0, 0]):.3g})."
        )
    if isinstance(attended, str):
        said += f" No maps of attention: {attended}"
    elif attended is not None:
        height, width = attended.mean.maps.shape[2:]
        said += f" {len(attended.mean.names):,} queries attend to {height} x {width} tokens."
    return said
