"""One page about a run: what was trained, how well, how it is wired."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from torch import Tensor, nn

from graphcolumns.analysis import interactive
from graphcolumns.analysis.figures.activity import activity
from graphcolumns.analysis.figures.attention import attention, attention_of_columns
from graphcolumns.analysis.figures.fields import fields
from graphcolumns.analysis.figures.learning import learning
from graphcolumns.analysis.figures.results import results
from graphcolumns.analysis.figures.settling import settling
from graphcolumns.analysis.figures.weights import weights
from graphcolumns.analysis.figures.wiring import adjacency, degrees, lengths, wires
from graphcolumns.analysis.film import gif
from graphcolumns.analysis.layout import is_spatial
from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.observe import observe
from graphcolumns.analysis.picture import Picture
from graphcolumns.analysis.report.chapter import Chapter
from graphcolumns.analysis.report.check import check_report, left_out
from graphcolumns.analysis.report.instructions import instruction_chapter
from graphcolumns.analysis.report.regions import region_chapter
from graphcolumns.analysis.report.rewired import chapter as rewired
from graphcolumns.analysis.report.scores import scores
from graphcolumns.analysis.report.story import facts, sentence
from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry

__all__ = ["check_report", "write"]

LARGEST_TABLE = 200_000  # bytes of a CSV that is put into the page; larger ones stand beside it


def write(
    run: str | os.PathLike[str],
    *,
    model: nn.Module,
    data: Dataset,
    geometry: Geometry | None = None,
    permutation: Tensor | None = None,
    config: str = "",
    seed: int = 0,
) -> Path:
    """Write ``report.html`` and its pictures and tables into a run folder.

    The page shows what there is: activity if the model has a state, attention or weights of edges
    if its layers keep records of them, receptive fields of images, maps where a geometry says
    where columns are, every graph of the model. ``check_report`` says before training what will be
    left out. The first table and the picture of results are those of the task.

    The page stands alone: pictures, tables up to 200 kB and scripts are inside, nothing is loaded.
    Surfaces and clouds of columns in space can also be turned when plotly is installed. A run that
    changed its wiring has a chapter about that, and so has a model whose instructions select
    sub-networks, and a regression whose targets are vertices in regions: scores by region, where
    the queries of a model with ``attention`` look, and accuracy on a surface that has a column per
    vertex. An earlier report of the run is replaced; nothing else in the folder is touched.

    Args:
        run: Run folder; ``metrics.jsonl``, ``edges.jsonl`` and ``summary.json`` are read if they
            are there.
        model: Trained model, see :class:`~graphcolumns.nn.protocols.ColumnModel`.
        data: Data set whose held-out half is shown to the model.
        geometry: Positions of the columns, in the order of the model, if they are known.
        permutation: The user's id of each column of the model, ``[N]``; the report shows these
            ids.
        config: Configuration, shown as it is.
        seed: Seed of the numbers drawn for the baselines.

    Returns:
        The path of ``report.html``. Beside it, ``report/NAME.png`` and ``report/NAME.csv``, and
        of films ``report/NAME.gif`` and their frames, ``report/NAME/000.png`` and so on.

    Raises:
        FileNotFoundError: There is no such folder.
        TypeError, ValueError: The model cannot be observed, see
            :func:`~graphcolumns.analysis.observe`.
    """
    run = Path(run).expanduser()
    if not run.is_dir():
        raise FileNotFoundError(f"there is no run folder {run}.")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        seen = observe(model, data, geometry, permutation)
    pictures, chapters = _pictures(run, seen, data), _chapters(run, seen, permutation)
    about = [instruction_chapter(model, seen, data, permutation), region_chapter(model, seen, data)]
    chapters = [chapter for chapter in about if chapter is not None] + chapters
    every = pictures + [picture for chapter in chapters for picture in chapter.pictures]
    summary = _summary(run)
    page = (
        _environment()
        .get_template("template.html.j2")
        .render(
            run=run.resolve().name,
            sentence=sentence(model, data),
            scores=scores(summary, seen, data),
            facts=facts(model, seen, summary),
            left_out=left_out(seen),
            pictures=[_on_page(picture) for picture in pictures],
            chapters=[
                {
                    "id": chapter.id,
                    "title": chapter.title,
                    "text": chapter.text,
                    "pictures": [_on_page(picture) for picture in chapter.pictures],
                }
                for chapter in chapters
            ],
            config=config,
            script=interactive.plotly_script() if any(map(_needs_plotly, every)) else "",
            turnable=geometry is not None and is_spatial(geometry) and not interactive.installed(),
        )
    )
    return _store(run, page, every)


def _pictures(run: Path, seen: Observation, data: Dataset) -> list[Picture]:
    """The pictures without a chapter: of the whole model, and of its graph if it has one."""
    drawn = (activity, settling, fields)
    made = [learning(run), results(seen, data), *(draw(seen) for draw in drawn)]
    if len(seen.wirings) == 1:
        made += _of_edges(seen, seen.wiring)
    return [picture for picture in made if picture is not None]


def _of_edges(seen: Observation, wiring: Wiring) -> list[Picture | None]:
    """The pictures of one graph."""
    drawn = (wires, attention, attention_of_columns, weights, lengths, degrees, adjacency)
    return [draw(seen, wiring) for draw in drawn]


def _chapters(run: Path, seen: Observation, permutation: Tensor | None) -> list[Chapter]:
    """How edges changed; of several graphs, first what each of them is like."""
    if len(seen.wirings) == 1:
        return [each for each in (rewired(run, seen, permutation),) if each is not None]
    made = []
    for wiring in seen.wirings:
        pictures = [picture for picture in _of_edges(seen, wiring) if picture is not None]
        parts = [Chapter(_size(wiring), pictures, "graph", "Graph")]
        if (changed := rewired(run, seen, permutation, wiring)) is not None:
            parts.append(changed)
        made += [part.of_graph(wiring.name) for part in parts]
    return made


def _size(wiring: Wiring) -> str:
    graph = wiring.graph
    if graph.num_sources == graph.num_columns:
        return f"{graph.num_edges:,} edges among {graph.num_columns:,} columns."
    return (
        f"{graph.num_edges:,} edges from {graph.num_sources:,} sources to "
        f"{graph.num_columns:,} columns."
    )


def _needs_plotly(picture: Picture) -> bool:
    """Whether the HTML of a picture calls the library; films and tables do not."""
    return "Plotly." in (picture.html or "")


def _on_page(picture: Picture) -> dict[str, Any]:
    small = len(picture.csv) <= LARGEST_TABLE
    return {
        "picture": picture,
        "png": _data_uri("image/png", picture.png),
        "csv": _data_uri("text/csv", picture.csv.encode()) if small else None,
    }


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _summary(run: Path) -> Mapping[str, Any]:
    path = run / "summary.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("graphcolumns.analysis.report", ""),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _store(run: Path, page: str, pictures: list[Picture]) -> Path:
    """Everything under temporary names first, then renamed."""
    folder, old = run / "report.tmp", run / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for picture in pictures:
        (folder / f"{picture.name}.png").write_bytes(picture.png)
        (folder / f"{picture.name}.csv").write_text(picture.csv, encoding="utf-8")
        _store_film(folder, picture)
    new = run / "report.html.tmp"
    new.write_text(page, encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    return new.replace(run / "report.html")


def _store_film(folder: Path, picture: Picture) -> None:
    """``NAME/000.png`` and so on, and ``NAME.gif``."""
    if not picture.frames:
        return
    frames = folder / picture.name
    frames.mkdir()
    for number, frame in enumerate(picture.frames):
        (frames / f"{number:03}.png").write_bytes(frame)
    film = gif(picture.frames, picture.milliseconds)
    (folder / f"{picture.name}.gif").write_bytes(film)
