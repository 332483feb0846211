import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from graphcolumns.data import Regression, StreamedDataset
from graphcolumns.data.brain import (
    ROI_NAMES,
    algonauts2023,
    algonauts2023_images,
    algonauts2023_test,
    challenge_vertices,
    roi_names,
    three_way,
)
from graphcolumns.data.features import ModuleBackbone, cached_features
from graphcolumns.data.image_files import read_image
from tests.data.brain.support.algonauts_folder import LEFT, RIGHT, algonauts_folder

V = LEFT + RIGHT


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """Two subjects, never written to."""
    return algonauts_folder(tmp_path_factory.mktemp("challenge"), (1, 2))


@pytest.fixture
def folder(tmp_path) -> Path:
    """One subject, for tests that break it."""
    return algonauts_folder(tmp_path)


def read(folder, **options) -> StreamedDataset:
    return algonauts2023(folder, 1, size=8, **options)


def masks(folder: Path) -> Path:
    return folder / "subj01/roi_masks"


def fmri(folder: Path, side: str = "lh") -> Path:
    return folder / f"subj01/training_split/training_fmri/{side}_training_fmri.npy"


def test_rows_are_images_and_both_hemispheres(given):
    data = read(given)
    assert (data.size("train"), data.size("test"), data.num_classes) == (19, 2, V)
    left, right = (np.load(fmri(given, side)) for side in ("lh", "rh"))
    images = sorted((given / "subj01/training_split/training_images").iterdir())
    parts = three_way(24)
    for half, rows in (("train", parts.train), ("test", parts.test)):
        batch = data.batch(half, torch.arange(len(rows)))
        expected = np.concatenate([left, right], 1)[rows]
        assert torch.equal(batch.targets, torch.from_numpy(expected))
        pixels = torch.stack([read_image(images[row], 8, False).values for row in rows.tolist()])
        assert torch.equal(batch.inputs, pixels)
    assert data.spec.targets.unit == "z-score"


def test_regions_by_hand(given):
    regions = read(given).task.regions
    names = [f"{side}.{name}" for side in ("lh", "rh") for n in ROI_NAMES.values() for name in n]
    assert regions.names == tuple(names)
    assert regions.hemisphere.tolist() == [0] * LEFT + [1] * RIGHT
    ids = np.load(masks(given) / "rh.floc-faces_challenge_space.npy")
    expected = LEFT + np.flatnonzero(ids == 3)
    assert regions.vertices("rh.FFA-2").tolist() == expected.tolist()
    some = read(given, families=["streams"]).task.regions
    assert set(some.families) == {"streams"}
    assert some.num_regions == 14


def test_regions_without_a_vertex_are_left_out(folder):
    path = masks(folder) / "lh.floc-bodies_challenge_space.npy"
    ids = np.load(path)
    np.save(path, np.where(ids == 4, 0, ids))
    names = read(folder).task.regions.names
    assert "lh.mTL-bodies" not in names
    assert "rh.mTL-bodies" in names


def test_selection_trains_on_the_same_images(given):
    test, validation = (read(given, held_out=part) for part in ("test", "validation"))
    assert validation.held_out == "validation"
    assert torch.equal(test.train.rows, validation.train.rows)
    assert not set(test.test.rows.tolist()) & set(validation.test.rows.tolist())


def test_features_of_rows_of_numbers_and_of_files(given, tmp_path):
    rows = np.random.default_rng(0).normal(size=(24, 6, 4)).astype(np.float16)
    images = sorted((given / "subj01/training_split/training_images").iterdir())
    numbers = [int(image.stem[-5:]) for image in images]
    by_number = np.zeros((73000, 6, 4), np.float16)
    by_number[numbers] = rows
    np.save(tmp_path / "rows.npy", rows)
    np.save(tmp_path / "numbers.npy", by_number)
    (tmp_path / "files").mkdir()
    for image, row in zip(images, rows, strict=True):
        np.save(tmp_path / f"files/{image.stem}.npy", row)
    expected = torch.from_numpy(rows[three_way(24).train]).float()
    for data in (
        read(given, features=rows),
        read(given, features=tmp_path / "rows.npy"),
        read(given, features=tmp_path / "numbers.npy", features_by="nsd"),
        read(given, features=tmp_path / "files"),
    ):
        inputs = data.batch("train", torch.arange(19)).inputs
        assert torch.equal(inputs["features"], expected)
    test = algonauts2023_test(given, 1, features=tmp_path / "numbers.npy", features_by="nsd")
    assert next(iter(test.batches(4)))["features"].shape == (4, 6, 4)


def test_files_are_mapped_and_open_again_in_another_process(given):
    data = read(given)
    again = pickle.loads(pickle.dumps(data.train))
    assert len(pickle.dumps(data.train.responses)) < 2000
    assert np.array_equal(again[3][1], data.train[3][1])
    workers = read(given, num_workers=2)
    order = [torch.tensor([3, 1]), torch.tensor([0, 7])]
    for one, other in zip(
        data.batches("train", order), workers.batches("train", order), strict=True
    ):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)


def test_masks_and_ceilings(given, tmp_path):
    mask, ceiling = np.arange(V) % 2, np.linspace(0, 1, V)
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "ceiling.npy", ceiling)
    task = read(given, mask=tmp_path / "mask.npy", noise_ceiling=tmp_path / "ceiling.npy").task
    assert isinstance(task, Regression)
    assert task.mask.tolist() == mask.astype(bool).tolist()
    assert torch.allclose(task.noise_ceiling, torch.from_numpy(ceiling).float())


def test_official_test_images(given):
    test = algonauts2023_test(given, 2, size=8)
    assert [file.name[:9] for file in test.files] == [f"test-000{n}" for n in range(1, 6)]
    batches = list(test.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert torch.equal(torch.cat(batches)[3], test[3])


def test_cached_features_of_the_images(given, tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 4, stride=4))
    backbone = ModuleBackbone(network, "0")
    images = algonauts2023_images(given, 1, size=8)
    cache = cached_features(backbone, images, tmp_path, dtype="float32", progress=False)
    tokens = read(given, features=cache.path("0")).batch("train", torch.arange(3)).inputs
    pixels = read(given).batch("train", torch.arange(3)).inputs
    assert torch.allclose(tokens["features"], backbone(pixels), atol=1e-6)
    test = algonauts2023_images(given, 1, "test", size=8)
    assert torch.equal(test[4], algonauts2023_test(given, 1, size=8)[4])
    with pytest.raises(ValueError, match=r"part must be one of 'train', 'test'. Got 'validation'"):
        algonauts2023_images(given, 1, "validation")


def test_vertices_in_fsaverage(given):
    left, right = challenge_vertices(given, 1)
    assert (len(left), len(right)) == (LEFT, RIGHT)
    on_mesh = np.load(masks(given) / "lh.streams_fsaverage_space.npy")
    assert np.array_equal(on_mesh[left], np.load(masks(given) / "lh.streams_challenge_space.npy"))


def test_names_of_the_challenge(given):
    path = masks(given) / "mapping_floc-words.npy"
    expected = {1: "OWFA", 2: "VWFA-1", 3: "VWFA-2", 4: "mfs-words", 5: "mTL-words"}
    assert roi_names("floc-words") == expected
    assert roi_names("floc-words", path, trusted=True) == expected
    with pytest.raises(ValueError, match=r"mapping_floc-words.npy is not read: .* runs code that"):
        roi_names("floc-words", path)
    assert read(given, trusted=True).task.regions.names == read(given).task.regions.names


def test_names_that_differ_from_those_of_the_challenge(folder):
    np.save(masks(folder) / "mapping_streams.npy", {0: "Unknown", 1: "late"})
    with pytest.raises(
        ValueError, match=r"Expected 'early' for id 1. Got 'late'; leave out trusted"
    ):
        read(folder, trusted=True)
    (masks(folder) / "mapping_streams.npy").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no file .*mapping_streams.npy; leave out trusted"
    ):
        read(folder, trusted=True)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("subj01", r"no folder .*subj01. The folder .*holds none of them"),
        ("subj01/training_split/training_images", r"no folder .*training_images; it must hold"),
        ("subj01/training_split/training_fmri/rh_training_fmri.npy", "no file .*rh_training_fmri"),
        ("subj01/roi_masks/rh.streams_challenge_space.npy", "no file .*rh.streams_challenge_space"),
    ],
)
def test_missing_files_are_named(folder, missing, message):
    (folder / missing).rename(folder / "elsewhere")
    with pytest.raises(FileNotFoundError, match=message):
        read(folder)


def test_another_folder_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Got .*subj01, that of one subject; pass .*"):
        read(folder / "subj01")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nope. Expected that of the"):
        read(tmp_path / "nope")


def test_missing_test_images_and_features(given, folder, tmp_path):
    (folder / "subj01/test_split").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match=r"no folder .*test_images; .*test-0001_nsd-00845"):
        algonauts2023_test(folder, 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"train-0001_nsd-\d+.npy \(24 of 24 are missing\)"):
        read(given, features=tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere.npy"):
        read(given, features="nowhere.npy")


def test_images_with_gaps_and_other_names(folder):
    images = folder / "subj01/training_split/training_images"
    third = next(images.glob("train-0003*"))
    third.rename(images / "other.png")
    with pytest.raises(
        ValueError, match=r"named as train-0001_nsd-00013.png. Got .*other.png; ren"
    ):
        read(folder)
    (images / "other.png").unlink()
    with pytest.raises(ValueError, match=r"without gaps.*Expected 24 up .*Got 23; missing: 3."):
        read(folder)


def test_as_many_images_as_responses(folder):
    next((folder / "subj01/training_split/training_images").glob("train-0024*")).unlink()
    with pytest.raises(
        ValueError, match=r"row per training image, 23. Got 24 rows in .*lh_training"
    ):
        read(folder)
    np.save(fmri(folder, "rh"), np.zeros((20, RIGHT), np.float32))
    with pytest.raises(
        ValueError, match=r"same images. Got 24 rows in .*lh_t.* and 20 in rh_train"
    ):
        read(folder)


def test_features_that_do_not_fit(given):
    with pytest.raises(ValueError, match=r"for each of the 24 train images. Got 23 rows"):
        read(given, features=np.zeros((23, 6, 4)))
    with pytest.raises(ValueError, match=r"features must be \[n, M, D\].* Got \[24, 4\]; reshape"):
        read(given, features=np.zeros((24, 4)))
    with pytest.raises(ValueError, match=r"every number of train images, up to .* Got 24 rows"):
        read(given, features=np.zeros((24, 6, 4)), features_by="nsd")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(10242, int), r"vertex, 150. Got 10,242 \(the number of fsaverage5, one hemisph"),
        (np.zeros(163842, int), r"Got 163,842 \(the number of fsaverage, one hem.*same mesh"),
        (np.zeros(149, int), "must hold one value per vertex, 150. Got 149; give the"),
        (np.zeros((150, 1), int), r"one value per vertex, \[150\]. Got \[150, 1\]"),
        (np.full(150, 9), "must hold ids from 0 to 7. Got 9 at 150 vertices"),
        (np.array([{}] * 150), "must hold numbers. Got pickled objects, and to load .*runs code"),
    ],
)
def test_masks_of_other_vertices(folder, values, message):
    np.save(masks(folder) / "lh.streams_challenge_space.npy", values, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        read(folder)


def test_no_region_and_unknown_families(folder, given):
    for side, count in (("lh", LEFT), ("rh", RIGHT)):
        np.save(masks(folder) / f"{side}.streams_challenge_space.npy", np.zeros(count, int))
    with pytest.raises(ValueError, match=r"must hold a region. Got 0 at every vertex of streams"):
        read(folder, families=["streams"])
    with pytest.raises(ValueError, match=r"families must be one of 'prf-visualrois'.*Got 'faces'"):
        read(given, families=["faces"])


def test_vertices_with_nan(folder):
    values = np.load(fmri(folder))
    values[3, 17] = np.nan
    values[:, 20] = np.inf
    np.save(fmri(folder), values)
    with pytest.raises(
        ValueError, match=r"lh_tra.* NaN or infinity in 2 of 150 vertices: 17, 20; "
    ):
        read(folder)
    mask = np.ones(V, bool)
    mask[[17, 20]] = False
    assert read(folder, mask=mask).task.mask.sum() == V - 2


def test_ceilings_with_nan_or_of_other_vertices(given):
    ceiling = np.full(V, 0.5)
    ceiling[2] = np.nan
    with pytest.raises(ValueError, match=r"Got NaN in 1 of 310 vertices: 2; set them to 0"):
        read(given, noise_ceiling=ceiling)
    with pytest.raises(ValueError, match=r"vertex, 310. Got 327,684 \(the number of fsaverage, bo"):
        read(given, noise_ceiling=np.zeros(327684))
    with pytest.raises(ValueError, match=r"mask must hold bool, or 0 and 1. Got 2"):
        read(given, mask=np.full(V, 2))


def test_files_that_are_no_arrays(folder):
    content = fmri(folder).read_bytes()
    fmri(folder).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"lh_training_fmri.npy is damaged or cut short: .*copy"):
        read(folder)
    fmri(folder).write_bytes(content[:20])
    with pytest.raises(ValueError, match=r"lh_training_fmri.npy is damaged or cut short: .*copy"):
        read(folder)
    fmri(folder).write_bytes(b"responses")
    with pytest.raises(
        ValueError, match=r"lh_training_fmri.npy must be a .npy file, as numpy.save"
    ):
        read(folder)
    np.save(fmri(folder), np.zeros((24, LEFT), int))
    with pytest.raises(ValueError, match=r"floating responses \[n, V\]. Got int64, \[24, 150\]"):
        read(folder)


def test_wrong_arguments(given):
    with pytest.raises(ValueError, match=r"subject must be a whole number from 1, 8 in .*Got 0"):
        algonauts2023(given, 0)
    with pytest.raises(FileNotFoundError, match=r"no folder .*subj03.* holds subj01, subj02."):
        algonauts2023(given, 3)
    with pytest.raises(
        ValueError, match=r"fractions must be three shares above 0 .*Got \(0.0, 0.5"
    ):
        read(given, validation=0.5, test=0.5)
