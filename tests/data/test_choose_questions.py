import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.data.choose_questions import choose_questions


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_every_question_comes_image_by_image():
    allowed = torch.tensor([[True, True], [False, False], [False, True]])
    image, question = choose_questions(allowed, True, generator())
    assert image.tolist() == [0, 0, 2]
    assert question.tolist() == [0, 1, 1]


def test_one_question_each_in_turn_and_none_for_images_without_one():
    allowed = torch.ones(7, 3, dtype=torch.bool)
    allowed[4] = False
    image, question = choose_questions(allowed, False, generator())
    assert image.tolist() == [0, 1, 2, 3, 5, 6]
    assert question.bincount().tolist() == [2, 2, 2]


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=30))
def test_only_allowed_questions_are_put(rows):
    allowed = torch.tensor(rows)
    image, question = choose_questions(allowed, False, generator())
    assert bool(allowed[image, question].all())
    assert image.tolist() == [i for i, row in enumerate(rows) if any(row)]
