import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from graphcolumns.data import mnist
from graphcolumns.data.idx import read_idx


def idx(values: np.ndarray) -> bytes:
    """Written by hand from the description of the format, for bytes."""
    return (
        struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
    )


IMAGES = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)
LABELS = np.array([0, 1, 2, 1, 0], dtype=np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES[:2])))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS[:2]))
    return tmp_path


def test_plain_and_compressed_files(folder):
    data = mnist(folder)
    assert torch.equal(data.train_inputs[:, 0] * 255, torch.from_numpy(IMAGES).float())
    assert data.train_labels.tolist() == LABELS.tolist()
    assert data.test_inputs.shape == (2, 1, 2, 3)
    assert data.num_classes == 3


def test_other_types_of_values(tmp_path):
    path = tmp_path / "floats"
    path.write_bytes(struct.pack(">BBBBI2f", 0, 0, 13, 1, 2, 1.5, -2.0))
    values = read_idx(path)
    assert values.dtype == np.float32
    assert values.tolist() == [1.5, -2.0]


def test_a_missing_folder_or_file(folder):
    with pytest.raises(FileNotFoundError, match=r"no folder nowhere.*train-images-idx3-ubyte"):
        mnist("nowhere")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"no t10k-labels-idx1-ubyte and no .*\.gz in"):
        mnist(folder)
    with pytest.raises(FileNotFoundError, match="no IDX file"):
        read_idx(folder / "absent")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an IDX file"),
        (b"\x89PNG and so on", r"is not an IDX file: .*Got \[137, 80, 78, 71\]"),
        (b"\0\0\x08\x03\0\0", "cut short within its header"),
        (idx(IMAGES)[:-1], r"must be 46 bytes long for shape \(5, 2, 3\). Got 45"),
        (idx(IMAGES) + b"x", "Got 47"),
        (idx(LABELS), "must have 3 dimensions. Got 1"),
        (idx(IMAGES[:4]), "Got 4 images and 5 labels"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(folder, content, message):
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        mnist(folder)


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "flipped"])
def test_a_damaged_archive(folder, damage):
    path = folder / "t10k-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[15] ^= 255
    path.write_bytes(
        {"truncated": path.read_bytes()[:-9], "not gzip": idx(IMAGES), "flipped": content}[damage]
    )
    with pytest.raises(ValueError, match="is not a whole gzip file"):
        mnist(folder)
