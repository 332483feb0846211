import pytest
import torch

from graphcolumns.data.features.tokens import as_tokens, check_prefix, grid_of, token_names


def test_places_of_a_map_are_tokens_row_by_row():
    grid = torch.arange(12.0).reshape(1, 2, 2, 3)  # two channels, two rows, three columns
    expected = [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]
    assert as_tokens(grid, "conv", 1).tolist() == [expected]


def test_sequences_stay_and_vectors_are_one_token():
    x = torch.rand(2, 5, 3)
    assert as_tokens(x, "block", 2) is x
    assert as_tokens(x.transpose(0, 1), "block", 2, batch_dim=1).equal(x)
    assert as_tokens(x[:, 0], "head", 2).shape == (2, 1, 3)


def test_another_shape_is_refused():
    with pytest.raises(
        ValueError, match=r"'a' must give .* B = 5 images. Got \(2, 5, 3\); batch_d"
    ):
        as_tokens(torch.rand(2, 5, 3), "a", 5)
    with pytest.raises(ValueError, match=r"B = 2 images. Got \(2, 3, 4, 5, 6\)\.$"):
        as_tokens(torch.rand(2, 3, 4, 5, 6), "a", 2)


@pytest.mark.parametrize(
    ("count", "size", "grid"),
    [
        (961, (434, 434), (31, 31)),
        (6, (28, 42), (2, 3)),
        (6, (30, 45), (2, 3)),  # pixels that are left over
        (6, (42, 28), (3, 2)),
        (1, (8, 8), (1, 1)),
        (7, (8, 8), None),
        (6, (8, 8), None),
    ],
)
def test_patches_lie_on_the_grid_of_the_image(count, size, grid):
    assert grid_of(count, size) == grid


def test_tokens_have_names():
    names = token_names(5, ("cls",), "all", (8, 8))
    assert names == ("cls", "y0x0", "y0x1", "y1x0", "y1x1")
    assert token_names(4, ("cls",), "patches", (8, 8)) == names[1:]
    assert token_names(1, ("cls",), "cls", (8, 8)) == ("cls",)
    assert token_names(3, (), "patches", (8, 8)) == ("token0", "token1", "token2")


def test_names_of_tokens_are_checked():
    with pytest.raises(ValueError, match=r"none of them 'patches' or 'all', such as"):
        check_prefix(("cls", "all"), "all")
    with pytest.raises(ValueError, match=r"prefix must be a tuple of different names.* Got 'cls'"):
        check_prefix("cls", "patches")
    with pytest.raises(ValueError, match=r"keep must be one of 'patches', 'all', 'cls'. Got 'cl'"):
        check_prefix(("cls",), "cl")
