from math import pi

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.data.displays import FIGURES, draw_figures


def draw(name: str, centre, radius: float, size: int) -> torch.Tensor:
    figure = torch.tensor([FIGURES.index(name)])
    return draw_figures(figure, torch.tensor([centre]), torch.tensor([radius]), size)[0, 0]


@pytest.mark.parametrize("name", FIGURES)
@given(row=st.floats(15, 17), column=st.floats(15, 17), radius=st.floats(4, 8))
def test_every_figure_has_the_area_and_the_centre_of_a_disc(name, row, column, radius):
    image = draw(name, (row, column), radius, 32)
    assert float(image.sum()) == pytest.approx(pi * radius**2, rel=0.02)
    middle = torch.arange(32) + 0.5
    assert float((image.sum(1) * middle).sum() / image.sum()) == pytest.approx(row, abs=0.1)
    assert float((image.sum(0) * middle).sum() / image.sum()) == pytest.approx(column, abs=0.1)


def test_a_square_by_hand():
    # Of half a side 2 pixels, and half a pixel to the right.
    image = draw("square", (3.0, 3.5), 4 / pi**0.5, 6)
    row = [0, 0.5, 1, 1, 1, 0.5]
    torch.testing.assert_close(image, torch.tensor([[0.0] * 6, *[row] * 4, [0.0] * 6]))


def test_a_cross_by_hand():
    # Half as long as 3 pixels and as wide as 1: two rows and two columns of 6.
    image = draw("cross", (4.0, 4.0), 3 / (9 * pi / 20) ** 0.5, 8)
    expected = torch.zeros(8, 8)
    expected[1:7, 3:5] = expected[3:5, 1:7] = 1
    torch.testing.assert_close(image, expected)


def test_a_triangle_points_up():
    widths = (draw("triangle", (16.0, 16.0), 6.0, 32) > 0.5).sum(1)
    there = widths[widths > 0]
    assert bool((there.diff() >= 0).all())
    assert there[-1] > 5 * there[0]


def test_figures_are_drawn_each_in_its_image_and_cut_at_the_edge():
    figure = torch.tensor([0, 3, 1])
    centre = torch.tensor([[4.0, 4.0], [5.0, 4.0], [0.0, 4.0]])
    many = draw_figures(figure, centre, torch.tensor([2.0, 3.0, 2.0]), 8)
    for i, name in enumerate(("disc", "cross", "square")):
        alone = draw(name, centre[i].tolist(), float([2.0, 3.0, 2.0][i]), 8)
        assert torch.equal(many[i, 0], alone)
    assert float(many[2].sum()) == pytest.approx(2 * pi, rel=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"figure": torch.tensor([4, 0])}, "0 to 3. Got 0 to 4"),
        ({"centre": torch.zeros(2)}, r"centre \[n, 2\]"),
        ({"radius": torch.zeros(2)}, "above 0"),
        ({"size": 0}, "above 0. Got size=0"),
    ],
)
def test_wrong_arguments(change, message):
    given_ = {"figure": torch.tensor([0, 1]), "centre": torch.ones(2, 2), "radius": torch.ones(2)}
    with pytest.raises(ValueError, match=message):
        draw_figures(**{**given_, "size": 4, **change})
