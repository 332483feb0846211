from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from graphcolumns.data import InstructedClassification, StreamedDataset, celeba
from graphcolumns.data import faces as faces_module

ATTRIBUTES = ("Bald", "Smiling", "Young")
PARTS = (0, 0, 1, 2, 0, 2, 0)
ANSWERS = torch.tensor([[i % 2, i // 2 % 2, i // 4] for i in range(7)])


@pytest.fixture
def folder(tmp_path) -> Path:
    """Seven images of one colour each."""
    names = [f"{number:06}.jpg" for number in range(1, 8)]
    rows = [
        f"{name}  {' '.join('1' if bit else '-1' for bit in bits)}"
        for name, bits in zip(names, ANSWERS.tolist(), strict=True)
    ]
    listed = "\n".join(["7", " ".join(ATTRIBUTES), *rows])
    (tmp_path / "list_attr_celeba.txt").write_text(listed + "\n")
    parts = [f"{name} {part}\n" for name, part in zip(names, PARTS, strict=True)]
    (tmp_path / "list_eval_partition.txt").write_text("".join(parts))
    (tmp_path / "img_align_celeba").mkdir()
    for number, name in enumerate(names):
        pixels = np.full((218, 178, 3), 30 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "img_align_celeba" / name, quality=95)
    return tmp_path


def numbers(batch) -> list[int]:
    """Which image each one is, by its colour."""
    return (batch.inputs["image"].mean((1, 2, 3)) * 255 / 30).round().int().tolist()


def whole(data: StreamedDataset, half: str):
    return data.batch(half, torch.arange(data.size(half)))


def test_every_attribute_of_every_test_image(folder):
    data = celeba(folder, size=8)
    assert isinstance(data, StreamedDataset)
    batch = whole(data, "test")
    assert batch.inputs["image"].shape == (6, 3, 8, 8)
    assert numbers(batch) == [3, 3, 3, 5, 5, 5]
    assert batch.inputs["instruction"].tolist() == [0, 1, 2, 0, 1, 2]
    assert batch.targets.tolist() == ANSWERS[[3, 5]].flatten().tolist()
    assert isinstance(data.task, InstructedClassification)
    assert data.task.instructions == ATTRIBUTES
    assert data.classes == ("no", "yes")


def test_one_attribute_per_training_image(folder):
    data = celeba(folder, size=8)
    batch = whole(data, "train")
    assert numbers(batch) == [0, 1, 4, 6]
    ids = batch.inputs["instruction"]
    assert sorted(ids.bincount(minlength=3).tolist()) == [1, 1, 2]
    assert torch.equal(batch.targets, ANSWERS[[0, 1, 4, 6], ids])
    assert torch.equal(whole(celeba(folder, size=8), "train").inputs["instruction"], ids)
    drawn = [whole(celeba(folder, size=8, seed=s), "train").inputs["instruction"] for s in range(9)]
    assert any(not torch.equal(one, ids) for one in drawn)


def test_other_halves_sizes_and_encodings(folder):
    data = celeba(folder, size=6, training="every", held_out="validation", grey=True)
    assert (data.size("train"), data.size("test")) == (12, 3)
    assert data.held_out == "validation"
    assert whole(data, "test").inputs["image"].shape == (3, 1, 6, 6)
    assert numbers(whole(data, "test")) == [2, 2, 2]
    some = celeba(folder, instructions=["Young", "Bald"], encoding="one_hot", test_count=1)
    batch = whole(some, "test")
    assert batch.inputs["instruction"].tolist() == [[1, 0], [0, 1]]
    assert batch.targets.tolist() == ANSWERS[3, [2, 0]].tolist()
    plain = celeba(folder, instructions=["Smiling"], encoding="none", train_count=3)
    inputs, targets = whole(plain, "train")
    assert inputs.shape == (3, 3, 64, 64)
    assert targets.tolist() == ANSWERS[[0, 1, 4], 1].tolist()


def test_an_image_is_read_once_for_all_of_its_questions(folder, monkeypatch):
    read = []

    def counted(path, size, grey):
        read.append(path.name)
        return faces_read(path, size, grey)

    faces_read = faces_module.read_image
    data = celeba(folder, size=8)
    monkeypatch.setattr(faces_module, "read_image", counted)
    for _ in data.in_order("test", 2):
        pass
    # The first image was still there from the checks.
    assert read in (["000006.jpg"], ["000004.jpg", "000006.jpg"])


def test_missing_parts(folder):
    (folder / "list_attr_celeba.txt").rename(folder / "kept.txt")
    with pytest.raises(FileNotFoundError, match=r"no list_attr_celeba.txt in .*img_align_celeba"):
        celeba(folder)
    (folder / "kept.txt").rename(folder / "list_attr_celeba.txt")
    (folder / "img_align_celeba/000001.jpg").unlink()
    with pytest.raises(ValueError, match=r"000001.jpg cannot be read as an image"):
        celeba(folder)
    with pytest.raises(FileNotFoundError, match=r"no list_attr_celeba.txt, list_eval.*in nowhere"):
        celeba("nowhere")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("attr_celeba", ("7\n", "8\n"), "number of images and a line.*Got '8' for 7 images"),
        ("attr_celeba", ("000003.jpg  -1 1", "000003.jpg  0 1"), "line 5 of .*3 values, 1 or -1"),
        ("attr_celeba", ("000003.jpg  -1 1", "000003.jpg  1"), "line 5 of "),
        ("eval_partition", ("000002.jpg 0", "000002.jpg 3"), "line 2 of .*0, 1 or 2. Got '000002"),
        ("eval_partition", ("000002.jpg 0\n", ""), "1 are missing, such as 000002.jpg"),
        ("eval_partition", ("000003.jpg 1", "000003.jpg 0"), r"of all parts.*Got \[0, 2\]"),
    ],
)
def test_lists_that_are_not_what_they_should_be(folder, name, change, message):
    path = folder / f"list_{name}.txt"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ValueError, match=message):
        celeba(folder)


def test_an_empty_list_and_wrong_arguments(folder):
    with pytest.raises(ValueError, match=r"out of Bald, Smiling, Young. Got"):
        celeba(folder, instructions=["Old"])
    with pytest.raises(ValueError, match="size must be at least 1"):
        celeba(folder, size=0)
    (folder / "list_attr_celeba.txt").write_text("")
    with pytest.raises(ValueError, match="must start with the number of images"):
        celeba(folder)
