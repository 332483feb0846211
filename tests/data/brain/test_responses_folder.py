import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphcolumns.data.brain import responses_folder, three_way

N, M, D, V = 12, 4, 3, 30
DRAWS = np.random.default_rng(0)
FEATURES = DRAWS.normal(size=(N, M, D)).astype(np.float32)
RESPONSES = DRAWS.normal(size=(N, V)).astype(np.float32)
FIRST, LAST = np.arange(V) < 10, np.arange(V) >= 25


@pytest.fixture
def folder(tmp_path) -> Path:
    """The least: features and responses."""
    np.save(tmp_path / "features.npy", FEATURES)
    np.save(tmp_path / "responses.npy", RESPONSES)
    return tmp_path


@pytest.fixture
def pictures(folder) -> Path:
    """Images in place of features; image i is of grey 20 i."""
    (folder / "features.npy").unlink()
    (folder / "images").mkdir()
    for number in range(N):
        pixels = np.full((5, 5, 3), 20 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"images/scene{number + 1}_x2.png")
    return folder


def test_features_and_responses(folder):
    data = responses_folder(folder)
    parts = three_way(N)
    assert (data.size("train"), data.size("test"), data.num_classes) == (10, 1, V)
    batch = data.batch("train", torch.arange(10))
    assert torch.equal(batch.inputs["features"], torch.from_numpy(FEATURES)[parts.train])
    assert torch.equal(batch.targets, torch.from_numpy(RESPONSES)[parts.train])
    assert data.task.regions is None


def test_images_in_the_order_of_their_numbers(pictures):
    data = responses_folder(pictures, size=2)
    batch = data.batch("train", torch.arange(10))
    grey = (batch.inputs[:, 0, 0, 0] * 255 / 20).round().long()
    assert torch.equal(grey, three_way(N).train)
    for number in range(N):
        name = pictures / f"images/scene{number + 1}_x2.png"
        name.rename(pictures / f"images/{'abcdefghijkl'[number]}.png")
    named = responses_folder(pictures, size=2).batch("train", torch.arange(10)).inputs
    assert torch.equal(named, batch.inputs)


def test_everything_that_is_optional(folder):
    (folder / "masks/faces").mkdir(parents=True)
    np.save(folder / "masks/V1.npy", FIRST)
    np.save(folder / "masks/faces/FFA.npy", LAST.astype(np.int8))
    np.save(folder / "mask.npy", ~LAST)
    np.save(folder / "noise_ceiling.npy", np.full(V, 0.25))
    np.save(folder / "hemisphere.npy", LAST.astype(np.int32))
    np.save(folder / "split.npy", np.array([0] * 7 + [1] * 2 + [2] * 3))
    data = responses_folder(folder)
    task = data.task
    assert task.regions.names == ("V1", "FFA")
    assert task.regions.families == ("", "faces")
    assert task.regions.hemisphere.tolist() == LAST.astype(int).tolist()
    assert task.mask.tolist() == (~LAST).tolist()
    assert task.noise_ceiling.tolist() == [0.25] * V
    assert data.train.rows.tolist() == list(range(7))
    assert data.test.rows.tolist() == [9, 10, 11]
    chosen = responses_folder(folder, held_out="validation")
    assert chosen.train.rows.tolist() == list(range(7))
    assert chosen.test.rows.tolist() == [7, 8]


def test_responses_that_were_not_measured(folder):
    values = RESPONSES.copy()
    values[2, [4, 9]] = np.nan
    np.save(folder / "responses.npy", values)
    with pytest.raises(ValueError, match=r"2 of 30 vertices: 4, 9; leave .* or set missing=True"):
        responses_folder(folder)
    assert responses_folder(folder, missing=True).task.missing
    np.save(folder / "mask.npy", ~np.isin(np.arange(V), [4, 9]))
    assert responses_folder(folder).task.mask.sum() == V - 2


def test_missing_files_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere; it must hold responses.npy"):
        responses_folder(tmp_path / "nowhere")
    (folder / "masks").mkdir()
    with pytest.raises(FileNotFoundError, match=r"masks holds no mask; it must hold NAME.npy"):
        responses_folder(folder)
    (folder / "features.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither .*features.npy nor a folder .*images"):
        responses_folder(folder)
    with pytest.raises(FileNotFoundError, match=r"no folder .*images; it must hold images: 0001"):
        responses_folder(folder, inputs="images")
    (folder / "images").mkdir()
    with pytest.raises(FileNotFoundError, match=r"images holds no image"):
        responses_folder(folder)
    (folder / "responses.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*responses.npy"):
        responses_folder(folder)


def test_images_with_gaps_or_of_another_number(pictures):
    (pictures / "images/scene4_x2.png").unlink()
    with pytest.raises(ValueError, match=r"without gaps.*Expected 12 up to.* Got 11; missing: 4\."):
        responses_folder(pictures)
    (pictures / "images/scene12_x2.png").rename(pictures / "images/scene4_x2.png")
    with pytest.raises(ValueError, match=r"a row per image, 11. Got 12 rows in .*responses.npy"):
        responses_folder(pictures)
    (pictures / "images/scene4_x2.png").rename(pictures / "images/scene3_y.png")
    with pytest.raises(ValueError, match=r"must have different numbers. Got 3 twice"):
        responses_folder(pictures)
    np.save(pictures / "features.npy", FEATURES)
    with pytest.raises(
        ValueError, match=r"inputs must be one of 'features', 'images' where .*both"
    ):
        responses_folder(pictures)
    assert responses_folder(pictures, inputs="features").spec.is_mapping


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("features", FEATURES[:5], "features.npy must have a row for each of the 12 .*Got 5 rows"),
        ("responses", RESPONSES[0], r"responses.npy must hold floating responses \[n, V\]"),
        ("responses", RESPONSES.T.copy(), r"images first. Got \[30, 12\], and 12 rows .*transpose"),
        ("responses", np.array([["x", {}]]), "responses.npy must hold numbers. Got pickled obj"),
        ("masks/V1", np.ones(642, bool), r"vertex, 30. Got 642 \(the number of fsaverage3, one"),
        ("masks/V1", np.zeros(V, bool), "must have at least one vertex. Got none in 'V1'"),
        ("masks/V1", np.array([None] * V), "V1.npy must hold numbers. Got pickled objects"),
        ("mask", np.full(V, 2), "mask.npy must hold bool, or 0 and 1. Got 2"),
        ("hemisphere", np.full(V, -1), r"hemisphere.npy must hold 0 \(left\) or 1 .*Got -1"),
        ("noise_ceiling", np.full(V, np.nan), "NaN in 30 of 30 vertices: 0, 1, 2, 3, 4, ...; set"),
        ("noise_ceiling", np.full(V, 50.0), "share of variance in .* divide percent by 100"),
        ("split", np.zeros(V), r"part of each of the 12 images, \[12\]. Got \[30\]"),
        ("split", np.full(N, 3), r"0 \(train\), 1 \(validation\) and 2 .*Got 3"),
        ("split", np.arange(N) % 2, "the test part must have a row. Got none"),
    ],
)
def test_files_that_do_not_fit(folder, name, values, message):
    (folder / "masks").mkdir()
    np.save(folder / "masks/whole.npy", np.ones(V, bool))
    np.save(folder / f"{name}.npy", values, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        responses_folder(folder)


def test_regions_of_the_same_name(folder):
    for family in ("left", "right"):
        (folder / "masks" / family).mkdir(parents=True)
        np.save(folder / f"masks/{family}/V1.npy", FIRST)
    with pytest.raises(ValueError, match=r"masks must have different names, in sub-folders too"):
        responses_folder(folder)


@pytest.mark.parametrize("kind", [">f4", "<f8", ">f8", "<f2"])
def test_values_of_any_floating_type_and_byte_order(folder, kind):
    """Files of other machines and of MATLAB: the numbers count, not how they are written."""
    for name, values in (("features", FEATURES), ("responses", RESPONSES)):
        np.save(folder / f"{name}.npy", np.asfortranarray(values.astype(kind)))
    batch = responses_folder(folder).batch("train", torch.arange(10))
    rows = three_way(N).train
    expected = FEATURES.astype(kind).astype(np.float32)
    assert torch.equal(batch.inputs["features"], torch.from_numpy(expected)[rows])
    assert batch.targets.dtype == torch.float32


@pytest.mark.parametrize("kind", ["<i2", ">i2", "<u1", "?", "<c8"])
def test_features_that_are_not_floating_are_refused(folder, kind):
    np.save(folder / "features.npy", FEATURES.astype(kind))
    with pytest.raises(ValueError, match=r"floating features, .* Got .*; save .astype\(numpy"):
        responses_folder(folder)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("inputs", ["features", "images"])
def test_another_working_folder_changes_nothing(inputs, workers, request, monkeypatch, tmp_path):
    """What is read later is read from where it was when the data set was made."""
    place = request.getfixturevalue("folder" if inputs == "features" else "pictures")
    monkeypatch.chdir(place.parent)
    data = responses_folder(place.name, size=2, num_workers=workers)
    monkeypatch.chdir("/")
    assert sum(len(batch.targets) for batch in data.in_order("train", 4)) == 10
    assert len(pickle.loads(pickle.dumps(data)).train) == 10
