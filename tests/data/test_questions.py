import pytest
import torch

from graphcolumns.data.questions import Questions

ONE, TWO = (("a", "b", "c"),), (("of", "by"), ("x", "y", "z"))
IMAGES = torch.arange(4.0).reshape(4, 1, 1, 1)
IDS = torch.tensor([[0, 1, 2]] * 4)
ANSWERS = torch.arange(12).reshape(4, 3)


def samples(questions: Questions, ids=IDS):
    return questions.samples(IMAGES, ids, ANSWERS, True, torch.Generator().manual_seed(0))


def test_names_of_all_combinations():
    assert Questions(ONE).names == ("a", "b", "c")
    assert Questions(TWO).names == ("of_x", "of_y", "of_z", "by_x", "by_y", "by_z")


def test_ids_are_places_among_those_that_are_kept():
    inputs, targets = samples(Questions(ONE, ("c", "a")))
    # Image by image, and within an image in the order of its instructions.
    assert inputs["instruction"].tolist() == [1, 0] * 4
    assert targets.tolist() == [0, 2, 3, 5, 6, 8, 9, 11]
    assert inputs["image"].flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_one_hot():
    inputs, _ = samples(Questions(ONE, ("c", "a"), "one_hot"))
    assert inputs["instruction"][:2].tolist() == [[0, 1], [1, 0]]
    inputs, _ = samples(Questions(TWO, ("by_z", "of_y"), "one_hot"), torch.tensor([[1, 3, 5]] * 4))
    assert inputs["instruction"][:2].tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1]]


def test_images_alone():
    inputs, targets = samples(Questions(ONE, ["b"], "none"))
    assert torch.equal(inputs, IMAGES)
    assert targets.tolist() == [1, 4, 7, 10]


def test_tasks():
    assert Questions(ONE, ["c", "b"]).task.instructions == ("c", "b")
    assert Questions(TWO, encoding="ids").task.num_instructions == 6
    relation = Questions(TWO, encoding="one_hot").task
    assert (relation.instructions, relation.arguments) == (("of", "by"), 3)
    assert relation.num_instructions == 5
    assert "arguments" not in Questions(ONE).task.described()
    assert relation.described()["arguments"] == 3


@pytest.mark.parametrize(
    ("kept", "encoding", "message"),
    [
        (("d",), "ids", "different names out of a, b, c. Got"),
        ((), "ids", "different names"),
        (("a", "a"), "ids", "different names"),
        (None, "none", "needs one of the instructions. Got a, b, c"),
        (None, "two_hot", "encoding must be one of"),
    ],
)
def test_wrong_arguments(kept, encoding, message):
    with pytest.raises(ValueError, match=message):
        Questions(ONE, kept, encoding)
