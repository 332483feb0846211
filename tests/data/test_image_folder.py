from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphcolumns.data import image_folder


def write(folder: Path, name: str, colour: tuple[int, int, int], size=(6, 4)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(folder / name)


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(5):
        write(tmp_path / "red", f"{number}.png", (255, 0, number))
        write(tmp_path / "blue", f"{number}.JPG", (0, 0, 255))
    (tmp_path / "red" / "notes.txt").touch()
    return tmp_path


def test_classes_are_folders_and_the_split_is_stratified(folder):
    data = image_folder(folder, size=5)
    assert data.num_classes == 2
    assert data.train_inputs.shape == (8, 3, 5, 5)
    assert data.test_targets.sort().values.tolist() == [0, 1]
    # In alphabetical order blue is class 0.
    blue = data.train_inputs[data.train_targets == 0]
    red = data.train_inputs[data.train_targets == 1]
    assert (blue[:, 2] > 0.9).all()
    assert (red[:, 0] == 1).all()


def test_given_halves_are_kept(folder, tmp_path):
    root = tmp_path / "halves"
    for half, count in (("train", 3), ("test", 2)):
        for name in ("a", "b"):
            for number in range(count):
                write(root / half / name, f"{number}.png", (number, 0, 0))
    data = image_folder(root, size=4)
    assert data.train_targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test_targets.tolist() == [0, 0, 1, 1]
    write(root / "test" / "c", "0.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"same classes. Only in one of them: \['c'\]"):
        image_folder(root)


def test_pixels_and_grey(tmp_path):
    pixels = np.arange(2 * 2 * 3, dtype=np.uint8).reshape(2, 2, 3) * 20
    for name in ("a", "b"):
        for number in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    data = image_folder(tmp_path, size=2, test_fraction=0.5)
    expected = torch.from_numpy(pixels).float() / 255
    torch.testing.assert_close(data.train_inputs[0], expected.permute(2, 0, 1))
    assert image_folder(tmp_path, size=2, grey=True, test_fraction=0.5).channels == 1


def test_what_can_be_missing(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder nowhere; it must hold a folder per"):
        image_folder("nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no image"):
        image_folder(folder)
    with pytest.raises(FileNotFoundError, match="holds no sub-folder"):
        image_folder(tmp_path / "empty")


def test_what_can_be_wrong(folder):
    with pytest.raises(ValueError, match="size >= 1 and 0 < test_fraction < 1"):
        image_folder(folder, test_fraction=1.0)
    write(folder / "green", "only.png", (0, 255, 0))
    with pytest.raises(ValueError, match="class 1 has 1 image"):
        image_folder(folder)
    (folder / "green" / "only.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"only\.png cannot be read as an image: .*Mend or remove"):
        image_folder(folder)
