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
    assert data.train_targets.tolist() == LABELS.tolist()
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


CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def typed(values: np.ndarray, kind: str) -> bytes:
    """Big-endian, with the code of the type."""
    header = struct.pack(
        f">BBBB{values.ndim}I", 0, 0, CODES[kind], values.ndim, *map(int, values.shape)
    )
    return header + values.astype(f">{kind}").tobytes()


@pytest.mark.parametrize("kind", CODES)
def test_every_type_is_read_in_its_byte_order(tmp_path, kind: str):
    values = np.array([[0, 1, -2], [100, 7, 3]]) if kind[0] != "u" else np.array([[0, 1], [255, 7]])
    (tmp_path / "a").write_bytes(typed(values, kind))
    read = read_idx(tmp_path / "a")
    assert read.dtype == np.dtype(kind)
    assert read.dtype.isnative
    assert read.tolist() == values.tolist()


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floating_pixels_are_taken_as_they_are(folder, kind: str):
    values = np.linspace(-1, 1.5, IMAGES.size).reshape(IMAGES.shape)
    (folder / "train-images-idx3-ubyte").write_bytes(typed(values, kind))
    data = mnist(folder)
    np.testing.assert_allclose(data.train_inputs[:, 0], values, rtol=1e-6)
    # The other half holds bytes and is scaled.
    assert float(data.test_inputs.max()) == pytest.approx(11 / 255)


@pytest.mark.parametrize("kind", ["i1", "i2", "i4"])
def test_whole_numbers_without_a_white_are_refused(folder, kind: str):
    (folder / "train-images-idx3-ubyte").write_bytes(typed(IMAGES, kind))
    with pytest.raises(ValueError, match=r"pixels of .*train-images-idx3-ubyte must be bytes"):
        mnist(folder)


@pytest.mark.parametrize("kind", ["i1", "i2", "i4"])
def test_labels_of_any_whole_type(folder, kind: str):
    (folder / "t10k-labels-idx1-ubyte").write_bytes(typed(LABELS[:2], kind))
    assert mnist(folder).test_targets.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-labels-idx1-ubyte", typed(np.array([0, 1.5]), "f4"), "whole numbers from 0. Got fl"),
        ("t10k-labels-idx1-ubyte", typed(np.array([0, -1]), "i1"), "smallest -1"),
        ("t10k-labels-idx1-ubyte", typed(np.array([0, 7]), "u1"), "0 to 2. Got 7; are"),
        (
            "train-images-idx3-ubyte",
            typed(IMAGES[:0], "u1"),
            "hold something. Got shape",
        ),
        ("train-images-idx3-ubyte", typed(IMAGES + np.nan, "f4"), "must be finite"),
        ("train-images-idx3-ubyte", b"\0\0\x0a\x03" + bytes(12), r"a type code in"),
        ("train-images-idx3-ubyte", b"\x08\x03\0\0" + bytes(12), "two zero bytes"),
    ],
)
def test_what_no_half_may_hold(folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        mnist(folder)
    assert name in str(caught.value)


def test_a_compressed_file_under_a_plain_name(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(gzip.compress(idx(IMAGES)))
    assert torch.equal(mnist(folder).train_inputs[:, 0] * 255, torch.from_numpy(IMAGES).float())


def test_names_with_a_dot_and_the_home_folder(folder, monkeypatch):
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("-idx", ".idx"))
    monkeypatch.setenv("HOME", str(folder.parent))
    assert mnist(f"~/{folder.name}").num_classes == 3
