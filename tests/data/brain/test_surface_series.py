import pickle

import nibabel
import numpy as np
import pytest
import torch
from nibabel.gifti import GiftiDataArray, GiftiImage
from nilearn.signal import clean

from graphcolumns.data.brain import regress_out, surface_series, time_folds
from graphcolumns.data.brain.cleaned_series import without_confounds
from graphcolumns.data.brain.series_files import open_series

T, V = 30, 12
DRAWS = np.random.default_rng(0)
SERIES = (1000 + 20 * DRAWS.normal(size=(T, V)) + 3 * np.arange(T)[:, None]).astype(np.float32)
FEATURES = DRAWS.normal(size=(T, 4, 2)).astype(np.float32)
CONFOUNDS = DRAWS.normal(size=(T, 3))


def whole(data, half):
    return data.batch(half, torch.arange(data.size(half)))


def write(path, series):
    """A series in the format that the name says."""
    if path.name.endswith(".gii"):
        arrays = [GiftiDataArray(row, intent="NIFTI_INTENT_TIME_SERIES") for row in series]
        nibabel.save(GiftiImage(darrays=arrays), path)
    elif path.suffix in (".mgh", ".mgz"):
        values = np.asfortranarray(series.T.reshape(series.shape[1], 1, 1, len(series)))
        nibabel.save(nibabel.MGHImage(values, np.eye(4)), path)
    elif path.suffix == ".npz":
        np.savez(path, series=series, other=np.ones(3))
    else:
        np.save(path, series)
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.func.gii", "a.mgh", "a.mgz"])
def test_formats(tmp_path, name):
    read = open_series(write(tmp_path / name, SERIES))
    assert np.array_equal(np.asarray(read[:]), SERIES)
    assert np.array_equal(read[7], SERIES[7])


def test_a_block_of_time_is_held_out():
    data = surface_series(SERIES, FEATURES, fold=1, folds=5, gap=2, zscore=False)
    parts = time_folds(T, 5, 2)[1]
    for half, times in (("train", parts.train), ("test", parts.test)):
        batch = whole(data, half)
        assert torch.equal(batch.targets, torch.from_numpy(SERIES)[times])
        assert torch.equal(batch.inputs["features"], torch.from_numpy(FEATURES)[times])
    chosen = surface_series(SERIES, FEATURES, fold=1, gap=2, held_out="validation")
    assert torch.equal(chosen.train.rows, parts.train)
    assert torch.equal(chosen.test.rows, parts.validation)


def test_scale_of_the_training_times_alone():
    data = surface_series(SERIES, FEATURES)
    train, test = whole(data, "train").targets, whole(data, "test").targets
    assert torch.allclose(train.mean(0), torch.zeros(V), atol=1e-5)
    assert torch.allclose(train.std(0, correction=0), torch.ones(V), atol=1e-5)
    rows = time_folds(T)[0]
    kept = torch.from_numpy(SERIES)[rows.train].double()
    expected = (torch.from_numpy(SERIES)[rows.test] - kept.mean(0)) / kept.std(0, correction=0)
    assert torch.allclose(test, expected.float(), atol=1e-4)


def test_confounds_as_nilearn_regresses_them_out():
    series = SERIES.astype(np.float64)
    theirs = clean(series, detrend=True, confounds=CONFOUNDS, standardize=None)
    ours = without_confounds(series, CONFOUNDS, True)[:]
    assert np.abs(theirs).max() > 10
    # Rows are float32.
    assert np.abs(ours - theirs).max() < 1e-4
    whole_series = regress_out(torch.from_numpy(series), CONFOUNDS, True).numpy()
    assert np.abs(ours - whole_series).max() < 1e-5


def test_held_out_times_do_not_change_what_is_trained_on():
    held_out = time_folds(T, 5, 2)[1].test
    other = SERIES.copy()
    other[held_out] += 100 * DRAWS.normal(size=(len(held_out), V)).astype(np.float32)
    given = {"fold": 1, "gap": 2, "confounds": CONFOUNDS, "detrend": True}
    data, changed = (surface_series(series, FEATURES, **given) for series in (SERIES, other))
    assert torch.equal(whole(data, "train").targets, whole(changed, "train").targets)
    assert not torch.equal(whole(data, "test").targets, whole(changed, "test").targets)


def test_coefficients_of_some_times():
    fit = torch.arange(0, T, 2)
    series = SERIES.astype(np.float64)
    ours = without_confounds(series, CONFOUNDS, True, fit)[:]
    expected = regress_out(torch.from_numpy(series), CONFOUNDS, True, fit).numpy()
    assert np.abs(ours - expected).max() < 1e-4


def test_two_hemispheres_from_files_stay_on_disk(tmp_path):
    paths = [str(write(tmp_path / name, half)) for name, half in
             (("lh.npy", SERIES[:, :5]), ("rh.mgh", SERIES[:, 5:]))]  # fmt: skip
    data = surface_series(paths, FEATURES, detrend=True)
    alone = surface_series(SERIES, FEATURES, detrend=True)
    assert torch.allclose(whole(data, "test").targets, whole(alone, "test").targets, atol=1e-5)
    assert data.task.regions.names == ("left", "right")
    assert data.task.regions.hemisphere.tolist() == [0] * 5 + [1] * 7
    assert pickle.loads(pickle.dumps(data.train))[0][1].shape == (V,)


def test_other_vertices_as_features(tmp_path):
    data = surface_series(SERIES, sources=[3, 10])
    batch = whole(data, "test")
    assert batch.inputs["features"].shape == (6, 2, 1)
    assert torch.equal(batch.inputs["features"][..., 0], batch.targets[:, [3, 10]])
    assert (~data.task.mask).nonzero()[:, 0].tolist() == [3, 10]
    (tmp_path / "masks").mkdir()
    np.save(tmp_path / "masks/first.npy", np.arange(V) < 4)
    named = surface_series(SERIES, sources=[3], masks=tmp_path / "masks").task.regions
    assert named.vertices("first").tolist() == [0, 1, 2, 3]


def test_vertices_with_nan_or_without_variance():
    series = SERIES.copy()
    series[4, [2, 8]] = np.nan
    with pytest.raises(ValueError, match=r"series must be finite. .*2 of 12 vertices: 2, 8; leave"):
        surface_series(series, FEATURES)
    mask = ~np.isin(np.arange(V), [2, 8])
    data = surface_series(series, FEATURES, mask=mask)
    assert whole(data, "train").targets[:, mask].isfinite().all()
    with pytest.raises(ValueError, match=r"1 of 12 vertices: 8"):
        surface_series(series, sources=[8], mask=mask)
    series = SERIES.copy()
    series[:, 6] = 815
    for detrend in (False, True):
        with pytest.raises(
            ValueError, match=r"vary over the training times. Got 1 of 12 .*: 6, the"
        ):
            surface_series(series, FEATURES, detrend=detrend)
    assert surface_series(series, FEATURES, mask=np.arange(V) != 6).size("test") == 6


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no file nowhere.mgh; a series is in .npy"
    ):
        surface_series("nowhere.mgh", FEATURES)
    with pytest.raises(FileNotFoundError, match=r"there is no folder nowhere; it must hold NAME"):
        surface_series(SERIES, FEATURES, masks="nowhere")
    for name in ("a.mgz", "a.npz", "a.func.gii"):
        path = write(tmp_path / name, SERIES)
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(ValueError, match=rf"{name} is damaged or cut short"):
            open_series(path)
    (tmp_path / "a.txt").write_text("1 2")
    with pytest.raises(ValueError, match=r"a series must be in .npy, .npz, .func.gii.*Got .*a.txt"):
        open_series(tmp_path / "a.txt")


def test_files_of_another_content(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", series=np.array([[{}]]))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(ValueError, match=rf"{name} must hold numbers. Got pickled objects"):
            open_series(tmp_path / name)
    np.savez(tmp_path / "b.npz", one=SERIES, two=SERIES)
    with pytest.raises(ValueError, match=r"an array named series, or one alone. Got 'one, two'"):
        open_series(tmp_path / "b.npz")
    volume = nibabel.MGHImage(np.ones((3, 3, 3), np.float32), np.eye(4))
    nibabel.save(volume, tmp_path / "c.mgh")
    with pytest.raises(ValueError, match=r"on a surface, \[V, 1, 1, T\]. Got \[3, 3, 3\]"):
        open_series(tmp_path / "c.mgh")
    nibabel.save(GiftiImage(), tmp_path / "d.func.gii")
    with pytest.raises(ValueError, match=r"an array \[V\] per time. Got no array"):
        open_series(tmp_path / "d.func.gii")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs either features or sources. Got neither"),
        ({"features": FEATURES, "sources": [1]}, "Got both"),
        ({"features": FEATURES[:9]}, "a row for each of the 30 times. Got 9 rows"),
        ({"sources": [12]}, r"ids of vertices in \[0, 12\), at least one. Got \[12\]"),
        ({"sources": []}, "at least one"),
        ({"sources": [1], "fold": 5}, r"fold must be in \[0, folds\). Got 5 of 5"),
        ({"sources": [1], "confounds": CONFOUNDS[:7]}, r"per time, \[30, K\]. Got \[7, 3\]"),
        ({"sources": [1], "confounds": CONFOUNDS * np.nan}, "with 90 values that are not finite"),
        ({"sources": [1], "mask": np.ones(10242)}, r"vertex, 12. Got 10,242 \(.*fsaverage5, one"),
        ({"sources": [1], "series": SERIES[0]}, r"floating values \[T, V\].* Got float32, \[12\]"),
        ({"sources": [1], "series": [SERIES] * 3}, "or two of the left and the right .*Got 3"),
        ({"sources": [1], "series": [SERIES, SERIES[:8]]}, "the same times. Got 30 and 8"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        surface_series(**({"series": SERIES} | options))
