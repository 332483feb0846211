"""Images as people have them: any format, depth, orientation and folder; each pixel by hand."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphcolumns.data import image_folder
from graphcolumns.data.image_files import find_images, read_image

GREY16 = np.array([[0, 257, 32768], [65535, 1000, 40000]], dtype=np.uint16)
COLOUR = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 14


def read(path: Path, grey: bool = False, size: int = 2) -> np.ndarray:
    """`[size, size, channels]`"""
    return read_image(path, size, grey).values.permute(1, 2, 0).numpy()


def square(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[:2, :2])


# Formats and scales


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("grey", [True, False])
def test_sixteen_bits_are_not_white(tmp_path, suffix: str, grey: bool):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(square(GREY16)).save(path)
    expected = (square(GREY16) / 65535)[..., None].repeat(1 if grey else 3, axis=2)
    np.testing.assert_allclose(read(path, grey), expected, atol=1e-7)


def test_sixteen_bits_of_either_byte_order(tmp_path):
    for order in (">u2", "<u2"):
        path = tmp_path / f"{order[1:]}{order[0] == '>'}.tif"
        mode = "I;16B" if order[0] == ">" else "I;16"
        image = Image.frombytes(mode, (2, 2), square(GREY16).astype(order).tobytes())
        image.save(path)
        np.testing.assert_allclose(read(path)[..., 0], square(GREY16) / 65535, atol=1e-7)


@pytest.mark.parametrize(
    "suffix", [".png", ".PNG", ".bmp", ".gif", ".tif", ".TIFF", ".webp", ".ppm", ".tga", ".jp2"]
)
def test_formats_that_keep_every_pixel(tmp_path, suffix: str):
    path, pixels = tmp_path / f"a{suffix}", square(COLOUR)
    kept = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(pixels).save(path, **kept)
    np.testing.assert_allclose(read(path), pixels / np.float32(255), atol=1e-7)


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".jfif", ".webp"])
def test_formats_that_lose_a_little(tmp_path, suffix: str):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (8, 8), (200, 100, 50)).save(path, quality=95)
    np.testing.assert_allclose(read(path)[0, 0], np.array([200, 100, 50]) / 255, atol=0.02)


def test_one_bit_and_palettes(tmp_path):
    bits = Image.fromarray(np.array([[0, 255], [255, 0]], dtype=np.uint8)).convert("1")
    for suffix in ("png", "tif", "pbm", "bmp"):
        bits.save(tmp_path / f"bits.{suffix}")
        assert read(tmp_path / f"bits.{suffix}", grey=True)[..., 0].tolist() == [[0, 1], [1, 0]]
    palette = Image.new("P", (2, 2))
    palette.putpalette([0, 0, 0, 255, 0, 51])
    palette.putdata([1, 0, 0, 1])
    palette.save(tmp_path / "palette.png")
    assert read(tmp_path / "palette.png")[0, 0].tolist() == pytest.approx([1, 0, 0.2])
    assert read(tmp_path / "palette.png")[0, 1].tolist() == [0, 0, 0]


def test_cmyk(tmp_path):
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    for name in ("a.tif", "a.jpg"):
        np.testing.assert_allclose(read(tmp_path / name)[0, 0], [1, 0, 0], atol=0.02)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_black_and_not_what_is_hidden(tmp_path, mode: str):
    path = tmp_path / "a.png"
    if mode == "P":
        image = Image.new("P", (2, 2))
        image.putpalette([255, 255, 255, 255, 0, 0])
        image.putdata([0, 1, 0, 1])
        image.save(path, transparency=0)
    else:
        white, seen = {"RGBA": ((255,) * 3, (255, 0, 0)), "LA": ((255,), (102,))}[mode]
        image = Image.new(mode, (2, 2), (*white, 0))
        for row in range(2):
            image.putpixel((1, row), (*seen, 255))
        image.save(path)
    pixels = read(path)
    assert pixels[:, 0].max() == 0
    expected = [0.4] * 3 if mode == "LA" else [1, 0, 0]
    assert pixels[0, 1].tolist() == pytest.approx(expected)


def test_half_transparent(tmp_path):
    Image.new("RGBA", (2, 2), (255, 255, 255, 51)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read(tmp_path / "a.png"), 0.2, atol=0.004)


def test_floating_pixels_are_taken_as_they_are(tmp_path):
    values = np.array([[0, 0.25], [0.5, 1]], dtype=np.float32)
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read(path, grey=True)[..., 0], values)
    for wrong in (values * 255, values - 0.5, values + np.nan):
        Image.fromarray(wrong.astype(np.float32)).save(path)
        with pytest.raises(ValueError, match=r"a\.tif .*floating pixels must lie in \[0, 1\]"):
            read(path)


def test_whole_numbers_of_32_bits_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((2, 2), 70_000, dtype=np.int32)).save(path)
    with pytest.raises(ValueError, match=r"a\.tif .*32 bits have no agreed white"):
        read(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "sixteen"])
def test_orientation_of_a_camera_is_applied(tmp_path, orientation: int, kind: str):
    # A picture of four quarters, as it should be seen.
    seen = np.kron(np.array([[0, 80], [160, 240]], dtype=np.uint8), np.ones((8, 8), np.uint8))
    stored = {
        1: seen,
        2: seen[:, ::-1],
        3: seen[::-1, ::-1],
        4: seen[::-1],
        5: seen.T,
        6: np.rot90(seen),
        7: seen[::-1, ::-1].T,
        8: np.rot90(seen, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / ("a.jpg" if kind == "jpg" else "a.png")
    if kind == "sixteen":
        stored = stored.astype(np.uint16) * 257
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_allclose(read(path, grey=True, size=16)[..., 0], seen / 255, atol=0.03)


def test_resizing_keeps_the_mean_of_sixteen_bits(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray((np.arange(64 * 64) * 16).astype(np.uint16).reshape(64, 64)).save(path)
    assert read(path, grey=True, size=8).mean() == pytest.approx(4095 / 2 * 16 / 65535, abs=1e-3)


def test_the_content_says_what_a_file_is(tmp_path):
    Image.fromarray(square(COLOUR)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_allclose(read(tmp_path / "a.jpg"), square(COLOUR) / 255, atol=1e-6)


# Files that are damaged


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp", "webp", "ppm"])
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.6])
def test_a_file_cut_short_is_named(tmp_path, suffix: str, kept: float):
    path = tmp_path / f"broken.{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=rf"broken\.{suffix} cannot be read as an image: .*Mend"):
        read(path)


@pytest.mark.parametrize("most", [10, 40])
def test_an_image_that_is_too_large_is_named(tmp_path, monkeypatch, most: int):
    path = tmp_path / "huge.png"
    Image.new("L", (8, 8)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)  # far below, and within its double
    with pytest.raises(ValueError, match=r"huge\.png has more pixels than .*MAX_IMAGE_PIXELS"):
        read(path)


# Folders


def picture(path: Path, value: int = 0, size=(3, 2)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(3):
        picture(tmp_path / "photos" / "café" / f"{number}.png", 51)
        picture(tmp_path / "photos" / "Über" / f"{number}.bmp", 102, size=(5, 9))
    return tmp_path / "photos"


def test_classes_keep_their_names(folder):
    picture(folder / "café" / "3.png", 51)
    picture(folder / "Über" / "3.png", 102)
    data = image_folder(folder, size=2, test_fraction=0.4)
    assert data.classes == ("café", "Über")
    assert (data.train_inputs[data.train_targets == 1] == torch.tensor(0.4)).all()
    assert data.validation(0, folds=2).classes == data.classes
    assert data.to("cpu").classes == data.classes


def test_hidden_folders_and_what_systems_leave_are_no_classes(folder):
    for name in (".ipynb_checkpoints", ".git", "__MACOSX", "@eaDir"):
        picture(folder / name / "0.png")
        picture(folder / "café" / name / "0.png")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png"):
        (folder / name).touch()
        (folder / "café" / name).touch()
    data = image_folder(folder, size=2, test_fraction=0.4)
    assert data.classes == ("café", "Über")
    assert len(data.train_targets) + len(data.test_targets) == 6


def test_nested_folders_belong_to_their_class(folder):
    picture(folder / "café" / "paris" / "rue" / "0.png", 51)
    data = image_folder(folder, size=2, test_fraction=0.4)
    labels = torch.cat([data.train_targets, data.test_targets])
    assert labels.bincount().tolist() == [4, 3]


def test_links_are_followed_once(folder, tmp_path):
    picture(tmp_path / "elsewhere" / "0.png", 51)
    os.symlink(tmp_path / "elsewhere", folder / "café" / "more")
    os.symlink(folder / "café", folder / "café" / "round")
    os.symlink(tmp_path / "elsewhere" / "0.png", folder / "café" / "one.png")
    assert len(find_images(folder / "café").images) == 5
    os.symlink(tmp_path / "nowhere.png", folder / "café" / "lost.png")
    with pytest.raises(ValueError, match=r"lost\.png cannot be read"):
        image_folder(folder)


def test_files_that_are_left_out_are_named(folder, caplog):
    picture(folder / "overview.png")
    (folder / "café" / "notes.txt").touch()
    (folder / "Über" / "raw.heic").touch()
    with caplog.at_level(logging.WARNING):
        image_folder(folder, size=2, test_fraction=0.4)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("3 left out, no image in a class: ")
    for name in ("overview.png", "notes.txt", "raw.heic"):
        assert name in message


def test_several_frames_are_told(folder, caplog):
    frames = [Image.new("L", (2, 2), value) for value in (51, 255)]
    frames[0].save(folder / "café" / "0.gif", save_all=True, append_images=frames[1:])
    with caplog.at_level(logging.WARNING):
        data = image_folder(folder, size=2, test_fraction=0.4)
    assert "1 read in part, the first of several frames: " in caplog.text
    assert float(data.train_inputs[data.train_targets == 0].max()) == pytest.approx(0.2)


def test_all_is_well_and_nothing_is_said(folder, caplog):
    with caplog.at_level(logging.WARNING):
        image_folder(folder, size=2, test_fraction=0.4)
    assert not caplog.records


@pytest.mark.parametrize("halves", [("train",), ("train", "val"), ("Training", "Test")])
def test_halves_are_no_classes(folder, tmp_path, halves):
    for half in halves:
        shutil.copytree(folder, tmp_path / "halves" / half)
    with pytest.raises(ValueError, match=r"which are halves and no classes. Name the halves train"):
        image_folder(tmp_path / "halves")


def test_what_is_beside_train_and_test_is_told(folder, tmp_path, caplog):
    for half in ("train", "test", "val"):
        shutil.copytree(folder, tmp_path / "halves" / half)
    with caplog.at_level(logging.WARNING):
        data = image_folder(str(tmp_path / "halves"), size=2)
    assert data.classes == ("café", "Über")
    assert "1 left out, beside train and test: " in caplog.text
    assert "val" in caplog.text


def test_a_class_without_images(folder):
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"empty holds no image .* but 1 other files"):
        image_folder(folder)


def test_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert image_folder("~/photos", size=2, test_fraction=0.4).num_classes == 2
