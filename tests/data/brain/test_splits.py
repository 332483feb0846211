import pytest
import torch

from graphcolumns.data.brain import three_way


def test_every_sample_is_in_one_set():
    split = three_way(100, seed=3)
    assert [len(part) for part in split] == [80, 10, 10]
    assert torch.cat(list(split)).sort().values.tolist() == list(range(100))
    assert all(part.equal(part.sort().values) for part in split)


def test_it_is_a_function_of_the_seed():
    assert three_way(50, 1).test.equal(three_way(50, 1).test)
    assert not three_way(50, 1).test.equal(three_way(50, 2).test)


@pytest.mark.parametrize("samples", [3, 7, 11, 98])
def test_sizes_add_up(samples):
    split = three_way(samples, fractions=(0.4, 0.3, 0.3))
    assert sum(map(len, split)) == samples
    assert min(map(len, split)) >= 1


def test_repeats_of_an_image_are_in_one_set():
    image = torch.arange(20).repeat_interleave(3)[torch.randperm(60)]
    split = three_way(60, 0, (0.5, 0.25, 0.25), groups=100 + image)
    images = [set(image[part].tolist()) for part in split]
    assert [len(part) for part in images] == [10, 5, 5]
    assert not images[0] & images[1]
    assert not images[0] & images[2]
    assert not images[1] & images[2]
    assert sum(map(len, split)) == 60


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"fractions": (0.8, 0.2)}, r"three shares above 0 with sum 1.*Got \(0.8, 0.2\)"),
        ({"fractions": (0.8, 0.3, -0.1)}, r"Got \(0.8, 0.3, -0.1\)"),
        ({"fractions": (float("nan"), 0.5, 0.5)}, r"sum 1.*Got \(nan, 0.5, 0.5\)"),
        ({"samples": 4}, r"every set needs at least one of the 4 samples. Got 3, 1 and 0"),
        ({"groups": torch.zeros(3)}, r"one group per sample, \[10\]. Got \[3\]"),
        ({"groups": torch.zeros(10)}, r"at least one of the 1 groups"),
    ],
)
def test_wrong_input(kwargs, message):
    with pytest.raises(ValueError, match=message):
        three_way(**{"samples": 10, **kwargs})


def test_the_test_set_is_the_same_for_every_share_of_validation():
    """Models that are chosen on more images are scored on the same ones."""
    few, many = (three_way(1000, 3, (0.9 - share, share, 0.1)) for share in (0.1, 0.4))
    assert few.test.equal(many.test)
    assert len(few.validation) == 100
    assert len(many.validation) == 400
