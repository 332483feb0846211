from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat

from graphcolumns.analysis.brain import noise_ceiling, trial_variances
from graphcolumns.data.brain import nsd_betas, nsd_trials, three_way
from tests.data.brain.support.nsd_folder import (
    IMAGES,
    LEFT,
    RIGHT,
    SESSIONS,
    SHOWN,
    TRIALS,
    betas,
    nsd_folder,
    place,
    write_mgh,
)

V = LEFT + RIGHT
FEATURES = np.random.default_rng(2).normal(size=(IMAGES, 4, 3)).astype(np.float32)
IDS = np.unique(SHOWN[SHOWN >= 0])


@pytest.fixture
def folder(tmp_path) -> Path:
    return nsd_folder(tmp_path / "nsd")


def read(folder, **options):
    given = {"trials": SHOWN, "inputs": FEATURES, "output": folder.parent / "out"} | options
    return nsd_betas(folder, 1, **given)


def zscored() -> np.ndarray:
    """Every trial, by hand, ``[T, V]``."""
    values = betas()
    scores = [(one - one.mean(0)) / one.std(0) for one in values]
    return np.concatenate(scores)


def averaged() -> np.ndarray:
    return np.stack([zscored()[SHOWN == number].mean(0) for number in IDS])


@pytest.mark.parametrize("space", ["fsaverage", "nativesurface"])
def test_means_over_repeats_of_scores_within_sessions(folder, space):
    data = read(folder, space=space)
    assert np.allclose(np.load(folder.parent / "out/responses.npy"), averaged(), atol=1e-5)
    parts = three_way(len(IDS))
    batch = data.batch("test", torch.arange(len(parts.test)))
    expected = torch.from_numpy(averaged()).float()[parts.test]
    assert torch.allclose(batch.targets, expected, atol=1e-5)
    features = torch.from_numpy(FEATURES[IDS])[parts.test]
    assert torch.equal(batch.inputs["features"], features)


def test_files_of_the_output(folder):
    read(folder)
    out = {path.name: path for path in (folder.parent / "out").iterdir()}
    assert np.load(out["images.npy"]).tolist() == IDS.tolist()
    counts = [int((SHOWN == number).sum()) for number in IDS]
    assert np.load(out["repeats.npy"]).tolist() == counts
    assert np.load(out["hemisphere.npy"]).tolist() == [0] * LEFT + [1] * RIGHT
    assert sorted(out) == [
        *("hemisphere.npy", "images.npy", "ncsnr.npy", "noise_ceiling.npy", "repeats.npy"),
        *("responses.npy", "settings.json"),
    ]
    left = [path.name for path in folder.parent.iterdir()]
    assert sorted(left) == ["nsd", "out"]


def test_noise_ceilings_as_from_all_repeats(folder):
    # Only images with the same number of repeats: there both weigh variances alike.
    trials = np.where(np.isin(SHOWN, [n for n in IDS if (SHOWN == n).sum() == 2]), SHOWN, -1)
    data = read(folder, trials=trials)
    ids = np.unique(trials[trials >= 0])
    repeats = np.stack([zscored()[trials == number] for number in ids])
    ratio = trial_variances(torch.from_numpy(repeats)).ncsnr
    ncsnr = torch.from_numpy(np.load(folder.parent / "out/ncsnr.npy"))
    assert torch.allclose(ncsnr.double(), ratio, atol=1e-5)
    assert torch.allclose(data.task.noise_ceiling.double(), noise_ceiling(ratio, 2), atol=1e-5)
    # The truth: signal with four times the variance of the noise.
    assert 0.8 < float(data.task.noise_ceiling.median()) < 0.95


def test_unequal_repeats(folder):
    data = read(folder)
    counts = torch.tensor([int((SHOWN == number).sum()) for number in IDS])
    ncsnr = torch.from_numpy(np.load(folder.parent / "out/ncsnr.npy"))
    expected = noise_ceiling(ncsnr, counts).float()
    assert torch.allclose(data.task.noise_ceiling, expected, atol=1e-5)


def test_without_repeats_there_is_no_ceiling(folder):
    trials = np.full(len(SHOWN), -1)
    trials[:IMAGES] = np.arange(IMAGES)
    assert read(folder, trials=trials).task.noise_ceiling is None


def test_some_vertices_and_regions(folder, tmp_path):
    keep = np.arange(V) % 3 == 0
    (tmp_path / "masks/early").mkdir(parents=True)
    np.save(tmp_path / "masks/early/V1.npy", np.arange(V) < 4)
    np.save(tmp_path / "masks/gone.npy", np.arange(V) == 1)
    data = read(folder, vertices=keep, masks=tmp_path / "masks")
    assert np.allclose(data.test.responses[0][:], averaged()[:, keep], atol=1e-5)
    regions = data.task.regions
    assert (regions.names, regions.families) == (("V1",), ("early",))
    assert regions.vertices("V1").tolist() == [0, 1]
    assert regions.hemisphere.tolist() == [0, 0, 0, 1, 1, 1]


def test_images_to_test(folder):
    data = read(folder, test_images=np.array([4, 9, 17, 99]))
    assert IDS[data.test.rows].tolist() == [4, 9, 17]
    chosen = read(folder, test_images=np.array([4, 9, 17]), held_out="validation")
    assert torch.equal(chosen.train.rows, data.train.rows)
    assert len(chosen.test.rows) + len(chosen.train.rows) == len(IDS) - 3


def test_images_of_the_stimulus_file(folder, tmp_path):
    pixels = np.arange(IMAGES, dtype=np.uint8)[:, None, None, None].repeat(6, 1).repeat(6, 2)
    with h5py.File(tmp_path / "nsd_stimuli.hdf5", "w") as file:
        file["imgBrick"] = pixels.repeat(3, 3)
    data = read(folder, inputs=tmp_path / "nsd_stimuli.hdf5", size=4, num_workers=1)
    batch = next(data.in_order("test", 4))
    assert batch.inputs.shape[1:] == (3, 4, 4)
    shown = (batch.inputs[:, 0, 0, 0] * 255).round().long().tolist()
    assert shown == IDS[data.test.rows].tolist()
    with h5py.File(tmp_path / "few.hdf5", "w") as file:
        file["imgBrick"] = pixels[:3].repeat(3, 3)
    with pytest.raises(ValueError, match=r"imgBrick \[n, Y, X, 3\], up to number 23. Got \[3, 6"):
        read(folder, inputs=tmp_path / "few.hdf5")


def test_averaged_once(folder):
    read(folder)
    for side in ("lh", "rh"):
        path = place(folder) / f"{side}.betas_session03.mgh"
        write_mgh(path, np.zeros((TRIALS, LEFT if side == "lh" else RIGHT)))
    assert np.allclose(read(folder).test.responses[0][:], averaged(), atol=1e-5)
    with pytest.raises(FileExistsError, match=r"value of trials. Expected .*another folder"):
        read(folder, trials=np.roll(SHOWN, 1))
    with pytest.raises(FileExistsError, match=r"value of sessions. Expected 2. Got 3; give"):
        read(folder, trials=SHOWN[: 2 * TRIALS], sessions=2)
    with pytest.raises(FileExistsError, match=r"nsd has no settings.json; give another folder"):
        read(folder, output=folder)


def test_the_design_of_the_experiment(folder, tmp_path):
    images = 100 * np.arange(1, 9)[:, None] + np.arange(5)
    order = np.array([[1, 3, 3, 2, 5, 4]])
    savemat(tmp_path / "nsd_expdesign.mat", {"masterordering": order, "subjectim": images})
    trials = nsd_trials(tmp_path / "nsd_expdesign.mat", 2)
    assert trials.tolist() == [199, 201, 201, 200, 203, 202]
    with pytest.raises(ValueError, match=r"subject must be in \[1, 8\].* Got 9"):
        nsd_trials(tmp_path / "nsd_expdesign.mat", 9)
    savemat(tmp_path / "other.mat", {"subjectim": images})
    with pytest.raises(ValueError, match=r"and subjectim. masterordering is missing"):
        nsd_trials(tmp_path / "other.mat", 1)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere.mat"):
        read(folder, trials=tmp_path / "nowhere.mat")
    (tmp_path / "no.mat").write_text("x")
    with pytest.raises(ValueError, match=r"no.mat cannot be read by scipy .*image of every trial"):
        nsd_trials(tmp_path / "no.mat", 1)


def test_sessions_that_are_missing(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*subj02/fsaverage/betas_fithrf_G"):
        nsd_betas(folder, 2, SHOWN, FEATURES, tmp_path / "out")
    (place(folder) / "rh.betas_session02.mgh").unlink()
    with pytest.raises(FileNotFoundError, match=r"rh.betas_session02.mgh. Sessions 1 to 3 must be"):
        read(folder)
    first = read(folder, sessions=1, trials=SHOWN[:TRIALS])
    assert first.size("train") + first.size("test") < len(IDS)
    with pytest.raises(FileNotFoundError, match=r"there is no folder nowhere; it must hold NAME"):
        read(folder, sessions=1, trials=SHOWN[:TRIALS], masks="nowhere")


@pytest.mark.parametrize("value", [np.nan, 0.5])
def test_vertices_with_nan_or_one_value_leave_no_output(folder, value):
    part = betas()[1][:, LEFT:]
    part[:, [2, 5]] = value
    write_mgh(place(folder) / "rh.betas_session02.mgh", part)
    with pytest.raises(ValueError, match=r"rh.betas_session02.*in 2 of 9 vertices: 2, 5; leave"):
        read(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["nsd"]
    keep = ~np.isin(np.arange(V), [LEFT + 2, LEFT + 5])
    assert np.allclose(
        read(folder, vertices=keep).test.responses[0][:], averaged()[:, keep], atol=1e-5
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": SHOWN[:-1]}, "as many values for each of the 3 sessions. Got 59"),
        ({"trials": SHOWN[:-3]}, r"betas of 19 trials, as many as .* Got \[20, 7\]"),
        ({"trials": SHOWN / 2}, r"number of an image for every trial.* Got float64, \[60\]"),
        ({"inputs": FEATURES[:9]}, "a row for every number of images, up to 23. Got 9 rows"),
        ({"vertices": np.ones(2 * 163842)}, r"vertex, 16. Got 327,684 \(.* fsaverage, both"),
        ({"vertices": np.zeros(V)}, "vertices must keep at least one. Got none"),
        ({"test_images": np.array([99])}, "some of the images that were shown.* Got 0 of "),
        ({"space": "func1mm"}, "space must be one of 'fsaverage', 'nativesurface'. Got 'func1mm'"),
    ],
)
def test_wrong_options(folder, options, message):
    with pytest.raises(ValueError, match=message):
        read(folder, **options)


def test_sessions_of_other_vertices_and_damaged_files(folder):
    write_mgh(place(folder) / "lh.betas_session02.mgh", betas()[1][:, : LEFT - 1])
    with pytest.raises(ValueError, match=r"session02.mgh must have the 7 vertices .*Got 6"):
        read(folder)
    path = place(folder) / "lh.betas_session01.mgh"
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ValueError, match=r"lh.betas_session01.mgh is damaged or cut short"):
        read(folder)
    path = place(folder, "nativesurface") / "lh.betas_session01.hdf5"
    path.write_bytes(b"betas")
    with pytest.raises(ValueError, match=r"must be an HDF5 file with the data set 'betas'. Got"):
        read(folder, space="nativesurface")


def test_sizes_of_the_fabricated_sessions():
    assert len(SHOWN) == SESSIONS * TRIALS
    assert sorted({int((SHOWN == number).sum()) for number in IDS}) == [2, 3]
