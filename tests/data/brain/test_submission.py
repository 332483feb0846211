import numpy as np
import pytest
import torch

from graphcolumns.data.brain import write_submission
from tests.data.brain.support.algonauts_folder import LEFT, RIGHT, algonauts_folder

LH, RH = np.ones((5, LEFT)), 2 * torch.ones(5, RIGHT)


def test_two_files_in_float32(tmp_path):
    challenge = algonauts_folder(tmp_path / "challenge")
    paths = write_submission(tmp_path / "mine", 1, LH, RH, challenge)
    names = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert names == ["mine/subj01/lh_pred_test.npy", "mine/subj01/rh_pred_test.npy"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == [p.name for p in paths]
    left, right = (np.load(path) for path in paths)
    assert left.dtype == right.dtype == np.float32
    assert np.array_equal(left, LH)
    assert np.array_equal(right, RH.numpy())


def test_nothing_is_replaced_silently(tmp_path):
    write_submission(tmp_path, 2, LH, RH)
    with pytest.raises(FileExistsError, match=r"subj02/lh_pred_test.npy exists; pass overwrite=Tr"):
        write_submission(tmp_path, 2, LH, RH)
    path = write_submission(tmp_path, 2, 3 * LH, RH, overwrite=True)[0]
    assert np.load(path).mean() == 3


@pytest.mark.parametrize(
    ("lh", "rh", "message"),
    [
        (LH[:4], RH, "for the same images. Got 4 and 5"),
        (LH[:4], RH[:4], r"lh must be \[5, 150\], the test images and vertices of .* Got \[4, 150"),
        (LH, RH[:, :-1], r"rh must be \[5, 160\], .*Got \[5, 159\]"),
        (LH[0], RH, r"lh must hold floating predictions \[n, V\].* Got float64, \[150\]"),
        (LH.astype(int), RH, "Got int64"),
        (LH * np.nan, RH, "lh predictions must be finite. Got NaN .*150 of 150 vertices: 0, 1, 2"),
    ],
)
def test_wrong_predictions_leave_no_file(tmp_path, lh, rh, message):
    challenge = algonauts_folder(tmp_path / "challenge")
    with pytest.raises(ValueError, match=message):
        write_submission(tmp_path / "mine", 1, lh, rh, challenge)
    assert not (tmp_path / "mine").exists()
