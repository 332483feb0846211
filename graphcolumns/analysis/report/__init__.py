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
from graphcolumns.analysis.figures.attention import chosen, listened
from graphcolumns.analysis.figures.fields import fields
from graphcolumns.analysis.figures.learning import learning
from graphcolumns.analysis.figures.results import answers, confusion, restored
from graphcolumns.analysis.figures.wiring import adjacency, degrees, lengths, wires
from graphcolumns.analysis.layout import is_spatial
from graphcolumns.analysis.observe import Observation, observe
from graphcolumns.analysis.picture import Picture
from graphcolumns.analysis.report.rewired import chapter
from graphcolumns.analysis.report.story import facts, scores, sentence
from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry

LARGEST_TABLE = 200_000  # bytes of a CSV that is put into the page; larger ones stand beside it


def write(
    run: str | os.PathLike[str],
    *,
    model: nn.Module,
    data: Dataset,
    geometry: Geometry,
    permutation: Tensor | None = None,
    config: str = "",
    seed: int = 0,
) -> Path:
    """Write `report.html` and its pictures and tables into a run folder.

    The page stands alone: pictures, tables up to 200 kB and scripts are inside, nothing is loaded.
    Surfaces and clouds of columns in space can also be turned when plotly is installed. A run that
    changed its wiring has a chapter about that. An earlier report of the run is replaced; nothing
    else in the folder is touched.

    Args:
        run: the run folder; `metrics.jsonl`, `edges.jsonl` and `summary.json` are read if they are
            there.
        model: the trained `Columnformer`, on the device of the data.
        data: its held-out half is shown to the model.
        geometry: of the columns, in the order of the model.
        permutation: the user's id of each column of the model `[N]`; the report shows these ids.
        config: the configuration, shown as it is.
        seed: of the numbers drawn for the baselines.

    Returns:
        The path of `report.html`. Beside it, `report/NAME.png` and `report/NAME.csv`.

    Raises:
        FileNotFoundError: there is no such folder.
        TypeError: the model is no `Columnformer`.
    """
    run = Path(run).expanduser()
    if not run.is_dir():
        raise FileNotFoundError(f"there is no run folder {run}.")
    data = data.to("cpu") if next(model.parameters()).device.type == "cpu" else data
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        seen = observe(model, data, geometry, permutation)
    pictures, rewired = _pictures(run, seen, data), chapter(run, seen, permutation)
    summary = _summary(run)
    page = (
        _environment()
        .get_template("template.html.j2")
        .render(
            run=run.resolve().name,
            sentence=sentence(model, seen, data),
            scores=scores(summary, seen, data),
            facts=facts(model, seen, summary),
            pictures=[_on_page(picture) for picture in pictures],
            rewired=None
            if rewired is None
            else {"text": rewired.text, "pictures": [_on_page(p) for p in rewired.pictures]},
            config=config,
            script=interactive.script() if any(picture.html for picture in pictures) else "",
            turnable=is_spatial(geometry) and not interactive.installed(),
        )
    )
    return _store(run, page, pictures + (rewired.pictures if rewired else []))


def _pictures(run: Path, seen: Observation, data: Dataset) -> list[Picture]:
    result = {"reconstruction": restored, "multi_label": answers}.get(data.task.name, confusion)
    made = [
        learning(run),
        result(seen),
        wires(seen),
        activity(seen),
        listened(seen),
        chosen(seen),
        fields(seen),
        lengths(seen),
        degrees(seen),
        adjacency(seen),
    ]
    return [picture for picture in made if picture is not None]


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
    new = run / "report.html.tmp"
    new.write_text(page, encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    folder.rename(old)
    return new.replace(run / "report.html")
