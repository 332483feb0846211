import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphcolumns.data import multi_mnist

TRAIN, TEST = 72, 20


def write(folder: Path, half: str, images: np.ndarray, labels: np.ndarray) -> None:
    for kind, values in (("images", images), ("labels", labels)):
        header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
        name = f"{half}-{kind}-idx{values.ndim}-ubyte"
        (folder / name).write_bytes(header + values.astype(np.uint8).tobytes())


@pytest.fixture(scope="module")
def pixels() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0)
    counts = {"train": TRAIN, "t10k": TEST}
    return {half: noise.integers(1, 256, (n, 28, 28), np.uint8) for half, n in counts.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, pixels) -> Path:
    path = tmp_path_factory.mktemp("mnist")
    for half, images in pixels.items():
        write(path, half, images, np.arange(len(images)) * 7 % 10)
    return path


def made_by_pillow(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    canvas = np.zeros((36, 36), np.uint8)
    canvas[:28, :28] = left
    canvas[6:34, 6:34] = np.maximum(canvas[6:34, 6:34], right)
    return np.asarray(Image.fromarray(canvas).resize((28, 28), Image.Resampling.NEAREST))


@pytest.mark.parametrize("held_out", ["test", "validation"])
def test_images_are_those_of_pillow_with_a_right_image_of_the_same_part(folder, pixels, held_out):
    data = multi_mnist(folder, training="every", held_out=held_out, normalised=False)
    kept = TRAIN - TRAIN // 6
    held = pixels["t10k"] if held_out == "test" else pixels["train"][kept:]
    for half, pool in (("train", pixels["train"][:kept]), ("test", held)):
        inputs, targets = data._half(half)
        images = (inputs["image"][::2, 0] * 255).round().numpy()
        assert len(images) == len(pool)
        labels = targets.reshape(-1, 2)
        rights = []
        for place, (image, left) in enumerate(zip(images, pool, strict=True)):
            found = [
                i for i, right in enumerate(pool) if (made_by_pillow(left, right) == image).all()
            ]
            assert len(found) == 1, place
            rights += found
        # The labels of the files go round by steps of 7, the validation part starts at image 60.
        start = kept if half == "test" and held_out == "validation" else 0
        assert labels[:, 0].tolist() == [(start + i) * 7 % 10 for i in range(len(pool))]
        assert labels[:, 1].tolist() == [(start + i) * 7 % 10 for i in rights]
        assert len(set(rights)) > len(pool) / 3


def test_normalised(folder):
    plain, data = (multi_mnist(folder, normalised=n).train_inputs["image"] for n in (False, True))
    torch.testing.assert_close(data, (plain - 0.1307) / 0.3081)


def test_which_digit_is_left_of_another(folder):
    data = multi_mnist(folder, "left_of_right_of")
    ids, targets = data.test_inputs["instruction"].reshape(-1, 2), data.test_targets.reshape(-1, 2)
    assert bool((targets[:, 0] != targets[:, 1]).all())
    assert torch.equal(ids, targets.flip(1) + torch.tensor([0, 10]))
    # Right images come from all other classes.
    pairs = torch.cat(
        [
            multi_mnist(folder, "left_of_right_of", seed=s).test_targets.reshape(-1, 2)
            for s in range(40)
        ]
    )
    counts = (pairs[:, 0] * 10 + pairs[:, 1]).bincount(minlength=100).reshape(10, 10)
    assert counts.diagonal().tolist() == [0] * 10
    assert bool((counts[~torch.eye(10, dtype=torch.bool)] > 0).all())


def test_instructions_counts_and_seed(folder):
    data = multi_mnist(folder, train_count=10, test_count=4)
    assert (data.size("train"), data.size("test")) == (10, 8)
    assert data.train_inputs["instruction"].bincount().tolist() == [5, 5]
    left = multi_mnist(folder, instructions=["left"], encoding="none", train_count=10)
    assert torch.equal(left.train_inputs, data.train_inputs["image"])
    assert left.train_targets.tolist() == [i * 7 % 10 for i in range(10)]
    again, other = (multi_mnist(folder, train_count=10, seed=s) for s in (0, 1))
    assert torch.equal(again.train_inputs["image"], data.train_inputs["image"])
    assert not torch.equal(other.train_inputs["image"], data.train_inputs["image"])


def test_wrong_files_and_names(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"no folder nowhere.*train-images-idx3-ubyte"):
        multi_mnist("nowhere")
    for half in ("train", "t10k"):
        write(tmp_path, half, np.zeros((20, 8, 8)), np.arange(20) % 10)
    with pytest.raises(ValueError, match=r"must be 28 x 28 pixels of 10 classes. Got 8 x 8 of 10"):
        multi_mnist(tmp_path)
    with pytest.raises(ValueError, match="tasks must be one of"):
        multi_mnist(folder, "above")
    with pytest.raises(ValueError, match="different names out of left, right"):
        multi_mnist(folder, instructions=["up"])
    with pytest.raises(ValueError, match="held_out must be"):
        multi_mnist(folder, held_out="none")
    with pytest.raises(ValueError, match="train_count must be at least 1, got -1"):
        multi_mnist(folder, train_count=-1)
