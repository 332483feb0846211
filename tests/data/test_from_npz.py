import numpy as np
import pytest
import torch

from graphcolumns.data import from_npz


def arrays(targets: np.ndarray) -> dict[str, np.ndarray]:
    inputs = np.random.default_rng(0).random((6, 1, 2, 2))
    return {
        **{"train_inputs": inputs[:4], "train_targets": targets[:4]},
        **{"test_inputs": inputs[4:], "test_targets": targets[4:]},
    }


def test_a_regression_with_gaps_mask_and_ceiling(tmp_path):
    targets = np.arange(18.0).reshape(6, 3)
    targets[1, 0] = np.nan
    about = {"mask": np.array([True, True, False]), "noise_ceiling": np.array([0.5, 0.8, 0.0])}
    np.savez(tmp_path / "a.npz", **arrays(targets), **about)
    data = from_npz(tmp_path / "a.npz", missing=True)
    assert data.train_inputs.dtype == torch.float32
    assert data.train_targets.shape == (4, 3)
    assert data.task.mask.tolist() == [True, True, False]
    assert set(data.task.metrics) == {"r2", "pearson_r", "ceiling_fraction"}


def test_other_tasks(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays(np.array([0, 2, 1, 0, 1, 2], dtype=np.uint8)))
    data = from_npz(tmp_path / "a.npz", task="classification")
    assert (data.num_classes, data.train_targets.dtype) == (3, torch.int64)
    values = arrays(np.zeros((6, 1, 2, 2)))
    np.savez(tmp_path / "b.npz", **values)
    assert from_npz(tmp_path / "b.npz", task="reconstruction").num_classes == 4


def test_other_arrays_and_no_file_are_refused(tmp_path):
    given = arrays(np.zeros((6, 2)))
    del given["test_targets"]
    np.savez(tmp_path / "a.npz", **given, labels=np.zeros(3))
    with pytest.raises(ValueError, match=r"must hold the arrays .*test_targets.* Got .*labels"):
        from_npz(tmp_path / "a.npz")
    with pytest.raises(FileNotFoundError, match=r"there is no file"):
        from_npz(tmp_path / "b.npz")
