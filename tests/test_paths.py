"""Every function that takes a path takes text, a Path, and `~`."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from geometries import cortex, from_file, grid, labels
from graphcolumns import checkpoint, connect
from graphcolumns.analysis import sweep
from graphcolumns.analysis.experiment import read_experiment as read_experiment
from graphcolumns.cli import load, main
from graphcolumns.data import image_folder, mnist
from graphcolumns.data.idx import read_idx
from graphcolumns.geometry.table import read_table
from graphcolumns.graph.edge_file import read_edges
from graphcolumns.ops.compiler import build_root
from tests.geometries.test_surface_files import FACES, POINTS


class Elsewhere:
    """A path that is neither text nor a Path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return self.path


WAYS = {
    "text": str,
    "Path": Path,
    "PathLike": lambda path: Elsewhere(str(path)),
    "home": lambda path: f"~/{path.name}",
}


@pytest.fixture(params=WAYS)
def way(request, tmp_path, monkeypatch):
    """How to name something in the folder `tmp_path`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return WAYS[request.param]


def test_tables_edges_areas_and_surfaces(way, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    (tmp_path / "a.csv").write_text("0,1\n1,2\n2,3\n")
    assert len(read_table(way(tmp_path / "a.csv"))) == 3
    assert from_file.points(way(tmp_path / "a.csv"), "mm").num_columns == 3
    assert read_edges(way(tmp_path / "a.csv"), 4).edge_index.shape == (2, 3)
    assert connect.from_file(grid.sheet(2, 2), way(tmp_path / "a.csv")).num_edges == 3
    nibabel.freesurfer.write_geometry(tmp_path / "lh.pial", POINTS, FACES)
    (tmp_path / "areas.txt").write_text("0\n1\n0\n1\n")
    surface = cortex.load(way(tmp_path / "lh.pial"), areas=way(tmp_path / "areas.txt"))
    assert surface.areas.tolist() == [0, 1, 0, 1]
    assert labels.read_labels(way(tmp_path / "areas.txt")).names == ("0", "1")
    assert labels.with_areas(surface, way(tmp_path / "areas.txt")).areas.tolist() == [0, 1, 0, 1]


def test_data(way, tmp_path):
    for half, count in (("train", 2), ("t10k", 1)):
        for kind, shape in (("images-idx3", (count, 2, 2)), ("labels-idx1", (count,))):
            header = bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)
            content = header + bytes(torch.Size(shape).numel())
            (tmp_path / f"{half}-{kind}-ubyte").write_bytes(content)
    assert read_idx(way(tmp_path / "t10k-labels-idx1-ubyte")).tolist() == [0]
    inside = tmp_path / "mnist"
    inside.mkdir()
    for path in list(tmp_path.glob("*ubyte")):
        path.rename(inside / path.name)
    assert len(mnist(way(inside)).train_inputs) == 2
    for name in ("a", "b"):
        for number in range(3):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (2, 2)).save(tmp_path / "photos" / name / f"{number}.png")
    assert image_folder(way(tmp_path / "photos"), test_fraction=0.4).classes == ("a", "b")


class Wired(nn.Module):
    """A model for checkpoints: a weight and a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = connect.nearest(grid.sheet(2, 2), 2)
        self.weight = nn.Parameter(torch.zeros(3))


def test_run_folders(way, tmp_path):
    model, run = Wired(), tmp_path / "run"
    checkpoint.check_free(way(run))
    checkpoint.save(way(run), model, step=7)
    assert checkpoint.load(way(run), model).step == 7
    assert checkpoint.find_checkpoint(way(run)) == run / "checkpoint"
    assert checkpoint.read_topology(way(run)).graph.num_edges == 8
    assert checkpoint.has_checkpoint(way(run))
    assert checkpoint.read_step(way(run)) == 7
    assert checkpoint.read_about(way(run)).best is None
    assert checkpoint.read_changes(way(run)) == []
    checkpoint.keep_best(way(run))
    assert checkpoint.find_checkpoint(way(run), "best") == run / "best"
    checkpoint.forget_start(way(run))
    assert run.is_dir()
    checkpoint.begin_history(way(run), 0, model.graph)
    assert len(checkpoint.read_history(way(run))) == 1
    checkpoint.write_text(way(tmp_path / "note.txt"), "x")
    assert (tmp_path / "note.txt").read_text() == "x"
    with pytest.raises(FileExistsError, match="is not empty"):
        checkpoint.check_free(way(run))
    assert not (Path.cwd() / "~").exists()


def test_sweeps_and_experiments(way, tmp_path):
    (tmp_path / "sweep" / "1").mkdir(parents=True)
    (tmp_path / "sweep" / "1" / "config.yaml").write_text("seed: 1\n")
    (tmp_path / "sweep" / "1" / "summary.json").write_text(json.dumps({"test_accuracy": 0.5}))
    assert len(sweep.collect(way(tmp_path / "sweep"))) == 1
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read_experiment(way(tmp_path / "absent.yaml"))
    assert str(tmp_path) in str(caught.value)


def test_a_run_of_the_command_line_in_the_home_folder(tmp_path, monkeypatch, capsys):
    # Kernels that are built stay where they are.
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(build_root()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    options = ["steps=1", "model.channels=4", "report=false", "progress=false"]
    main(["train", "run=~/first", *options])
    assert [path.name for path in tmp_path.iterdir()] == ["first"]
    assert load("~/first").model.graph.num_edges > 0
