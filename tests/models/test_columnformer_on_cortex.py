"""The columnformer as a model of a brain: a column per vertex answers for that vertex."""

import numpy as np
import pytest
import torch

from geometries import cortex
from graphcolumns import connect, train
from graphcolumns.analysis.brain import predict_responses
from graphcolumns.cli import load, main
from graphcolumns.data import Dataset, Regression
from graphcolumns.data.features import ColumnFeatures
from graphcolumns.geometry import Regions
from graphcolumns.geometry.view import view
from graphcolumns.models import sheet
from graphcolumns.models.brain_encoder import brain_encoder
from graphcolumns.training import TrainOptions

SIDE = 8
LOCAL = 2.25**-0.5  # best correlation of a column that knows the pixel at its own place alone
INTERFACE = {"readout": "columns", "readout_weights": "untied"}


@pytest.fixture(scope="module")
def surface():
    return cortex.fsaverage(2, "left")


def responses(images, surface, noise: float = 0.5):
    """The pixel where a vertex looks, plus that in the mirror image, plus noise."""
    row, column = (view(surface) * (SIDE - 1)).round().long().T
    signal = (images[:, 0, row, column] + images[:, 0, row, SIDE - 1 - column] - 1) * 12**0.5
    return signal + noise * torch.randn(signal.shape, generator=torch.Generator().manual_seed(1))


def samples(surface, count: int = 500):
    images = torch.rand(count, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    y, cut = responses(images, surface), count * 4 // 5
    regions = Regions.from_areas((surface.positions[:, 1] > 0).long(), ["posterior", "anterior"])
    task = Regression(noise_ceiling=torch.full((surface.num_columns,), 2 / 2.25), regions=regions)
    return Dataset(images[:cut], y[:cut], images[cut:], y[cut:], task=task)


def model(surface, graph, **more):
    torch.manual_seed(0)
    given = {"image_size": SIDE, "in_channels": 1, "num_classes": surface.num_columns,
             "channels": 8, "depth": 2, "interface": INTERFACE}  # fmt: skip
    return sheet(surface, graph, **(given | more))


def test_columns_answer_for_the_vertices_of_their_surface(surface, tmp_path):
    """Edges bring what is far: with them, columns know more than the pixel at their own place."""
    data, found = samples(surface), {}
    for name, graph in (
        ("edges", connect.distance_decay(surface, degree=24, length=80.0)),
        ("none", connect.nearest(surface, degree=1)),
    ):
        options = TrainOptions(steps=120, batch_size=32, lr=5e-3, progress=False)
        columns = model(surface, graph, channels=16)
        found[name] = train(columns, data, run=tmp_path / name, options=options, geometry=surface)
    assert found["none"]["test_pearson_r"] < LOCAL + 0.02
    assert found["edges"]["test_pearson_r"] > LOCAL + 0.1
    assert found["edges"]["test_ceiling_fraction"] > found["none"]["test_ceiling_fraction"]


def test_one_answer_per_vertex_and_no_other_number(surface):
    """Responses of another mesh are refused when the model is built."""
    graph = connect.nearest(surface, degree=4)
    with pytest.raises(ValueError, match="one answer per column") as error:
        model(surface, graph, num_classes=162)  # the medial wall is in the responses
    assert str(error.value) == (
        "readout='columns' gives one answer per column. Expected 149 values per sample, one for "
        "each column that is read, such as the responses of the vertices of the same surface. Got "
        "162; take a sheet with one column per answer (the medial wall is left out of responses "
        "and columns, or of neither; outputs='last_sheet' reads the last sheet of a stack), or "
        "readout='mean'."
    )


@pytest.fixture(scope="module")
def file(surface, tmp_path_factory):
    """Images and responses of the user, in the order of the vertices."""
    data, path = samples(surface, 200), tmp_path_factory.mktemp("own") / "responses.npz"
    halves = {
        f"{half}_{what}": getattr(data, f"{half}_{what}").numpy()
        for half in ("train", "test")
        for what in ("inputs", "targets")
    }
    np.savez(path, **halves)
    return path


def words(file, *more):
    options = [
        *("experiment=null", f"data.path={file}", "data=npz", "geometry=fsaverage"),
        *("geometry.level=2", "geometry.hemisphere=left", "graph=nearest", "degree=6"),
        *("model.interface.readout=columns", "model.interface.readout_weights=untied"),
        *("model.channels=8", "model.depth=2", "batch_size=32", "progress=false", "report=false"),
    ]
    return ["train", *options, *more]


@pytest.mark.parametrize("reorder", ["true", "false"])
def test_answers_are_in_the_order_of_the_vertices(file, surface, tmp_path, reorder):
    """However columns lie inside, prediction v is for vertex v: of the file and of the surface."""
    run = tmp_path / "run"
    said = words(file, "steps=60", "optimizer.lr=1e-2", f"reorder={reorder}", f"run={run}")
    assert main(said) == 0
    loaded = load(run)
    assert torch.equal(loaded.geometry.positions, surface.positions)
    found = predict_responses(loaded.model, loaded.data.in_order("test", 16))
    # Each vertex knows the pixel where it looks, and no vertex that of another.
    row, column = (view(surface) * (SIDE - 1)).round().long().T
    own = loaded.data.test_inputs[:, 0, row, column]
    own, predicted = own - own.mean(0), found.prediction - found.prediction.mean(0)
    r = torch.nn.functional.cosine_similarity(own, predicted, dim=0)
    assert r.median() > 0.6
    shuffled = torch.nn.functional.cosine_similarity(own.roll(40, 1), predicted, dim=0)
    assert shuffled.median() < 0.4


def test_by_config_too_another_mesh_is_refused_before_anything_is_written(file, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(words(file, "geometry.medial_wall=true", f"run={run}")) == 2
    assert "Expected 162 values per sample" in capsys.readouterr().err
    assert not run.exists()


def test_columns_of_a_trained_sheet_are_tokens_of_an_encoder(surface, tmp_path):
    """The states of a frozen sheet, a token per vertex, predict other vertices along edges."""
    columns = model(surface, connect.nearest(surface, degree=4))
    frozen = [value.clone() for value in columns.state_dict().values()]
    data = samples(surface, 100)
    encoder = brain_encoder(
        surface.num_columns,
        regions=data.task.regions,
        tokens=(surface.num_columns, 8),
        decoder={"heads": 2, "hidden": 16},
        position="learned",
        backbone=ColumnFeatures(columns),
    )
    options = TrainOptions(steps=4, batch_size=16, progress=False)
    train(encoder, data, run=tmp_path / "run", options=options)
    assert encoder(data.test_inputs).prediction.shape == (20, surface.num_columns)
    assert encoder.attention(data.test_inputs).shape == (2, 20, surface.num_columns)
    assert all(map(torch.equal, frozen, columns.state_dict().values()))
