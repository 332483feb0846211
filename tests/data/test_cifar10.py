import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from graphcolumns.data import cifar10

NAMES = "airplane automobile bird cat deer dog frog horse ship truck".split()


def record(label: int, seed: int) -> bytes:
    return bytes([label]) + np.random.default_rng(seed).integers(0, 256, 3072, np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two images per file."""
    path = tmp_path / "cifar-10-batches-bin"
    path.mkdir()
    for number in range(1, 6):
        content = record(number, number) + record(9 - number, 10 + number)
        (path / f"data_batch_{number}.bin").write_bytes(content)
    (path / "test_batch.bin").write_bytes(record(0, 20) + record(9, 21))
    (path / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return path


@pytest.mark.parametrize("inside", [True, False])
def test_every_byte_is_in_its_place(folder, inside):
    data = cifar10(folder if inside else folder.parent)
    assert data.train_targets.tolist() == [1, 8, 2, 7, 3, 6, 4, 5, 5, 4]
    assert data.test_targets.tolist() == [0, 9]
    assert data.train_inputs.shape == (10, 3, 32, 32)
    # By hand: after the label 1024 bytes of red, then of green, row by row.
    content = (folder / "data_batch_2.bin").read_bytes()
    for channel, row, column in ((0, 0, 1), (1, 2, 3), (2, 31, 31)):
        byte = content[3073 + 1 + 1024 * channel + 32 * row + column]
        assert float(data.train_inputs[3, channel, row, column]) == pytest.approx(byte / 255)
    assert data.classes == tuple(NAMES)


def test_names_of_classes_are_optional(folder):
    (folder / "batches.meta.txt").unlink()
    data = cifar10(folder)
    assert data.classes is None
    assert data.num_classes == 10
    (folder / "batches.meta.txt").write_text("cat dog")
    with pytest.raises(ValueError, match=r"ten names of classes. Got 2"):
        cifar10(folder)


class Armed:
    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


def test_what_is_pickled_is_never_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cifar-10-batches-py"
    path.mkdir()
    (path / "data_batch_1").write_bytes(pickle.dumps(Armed()))
    for place in (tmp_path, path):
        with pytest.raises(FileNotFoundError, match="the Python version, which is pickled"):
            cifar10(place)
    assert not Path("unpickled").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Got 0 bytes"),
        (record(1, 0)[:-1], "records of 3073 bytes, .*Got 3072"),
        (record(10, 0), "must be 0 to 9. Got 10"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(folder, content, message):
    (folder / "data_batch_4.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        cifar10(folder)
    assert "data_batch_4.bin" in str(caught.value)


def test_a_missing_file(folder):
    (folder / "data_batch_5.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"no data_batch_5.bin in .*cifar-10-batches-bin\)"):
        cifar10(folder)
    with pytest.raises(FileNotFoundError, match=r"no data_batch_1.bin in nowhere"):
        cifar10("nowhere")


def test_the_training_images_are_those_of_all_files(folder):
    images = cifar10(folder).train_inputs
    assert len(torch.unique(images.flatten(1), dim=0)) == 10
