"""A report on a model that settles: energy and residual, and a film of its state."""

import base64
import re

import pytest
import torch

from geometries import grid
from graphcolumns import connect
from graphcolumns.analysis import observe
from graphcolumns.analysis.figures.settling import settling as picture
from graphcolumns.analysis.film import player
from graphcolumns.analysis.report import write
from graphcolumns.data import Dataset
from graphcolumns.nn import EdgeLinear, keep_topology
from graphcolumns.nn.dynamics import Circuit, Drive, Euler, relaxation, solve
from graphcolumns.nn.protocols import ModelOutput


class Spread(Circuit):
    """u' = x + W u - u along edges; W is not symmetric, so it has no energy."""

    batch_dim = 1

    def __init__(self, weights, graph):
        self.weights, self.graph = weights, graph

    def drive(self, inputs):
        return Drive((inputs.flatten(1).T[..., None],))

    def initial(self, drive):
        return torch.zeros_like(drive.samples[0])

    def flow(self, state, drive):
        return drive.samples[0] + 0.2 * self.weights(state, self.graph) - state

    def step_limit(self, drive):
        return 1.0


class Settling(torch.nn.Module):
    def __init__(self, graph):
        super().__init__()
        self.graph, self.weights = graph, EdgeLinear(graph)
        self.read = torch.nn.Linear(graph.num_columns, 3)
        keep_topology(self)

    def rewired(self, graph):
        self.graph = graph

    def circuit(self):
        return Spread(self.weights, self.graph)

    def forward(self, images):
        found = solve(self.circuit(), images)
        return ModelOutput(self.read(found.output[..., 0].T), found.output)

    def relaxation(self, images):
        return relaxation(self.circuit(), images, method=Euler(0.4), frames=6, every=1)


@pytest.fixture
def settling():
    torch.manual_seed(0)
    user = grid.sheet(4, 5)
    return Settling(connect.nearest(user, degree=3)), user


def images(count=12):
    x = torch.rand(count, 1, 4, 5, generator=torch.Generator().manual_seed(3))
    labels = torch.arange(count) % 3
    return Dataset(x, labels, x, labels, 3)


def test_a_model_that_settles_is_seen_in_the_order_of_the_user(settling):
    model, user = settling
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    plain = observe(model, images(), user)
    # Columns of the model are `order` of the user: the same values under other ids.
    moved = observe(model, images(), user, permutation=order)
    assert plain.relaxation.output.shape == (7, 20, 8, 1)
    torch.testing.assert_close(moved.relaxation.output[:, order], plain.relaxation.output)
    assert plain.relaxation.energy is None
    assert (plain.relaxation.residual.diff(dim=0) < 0).all()


def test_the_picture_has_the_numbers_and_a_film(settling):
    model, user = settling
    made = picture(observe(model, images(), user))
    header, *rows = made.csv.splitlines()
    assert header.split(",")[:2] == ["iteration", "residual_0"]
    assert len(rows) == 7
    frames = re.findall(r"data:image/png;base64,([\w+/=]+)", made.html)
    assert len(set(frames)) == 7
    assert all(base64.b64decode(frame).startswith(b"\x89PNG") for frame in frames)


def test_no_film_without_a_place_for_every_column(settling):
    model, _ = settling
    assert picture(observe(model, images(), None)).html is None


def test_a_model_that_does_not_settle_has_no_picture(settling):
    model, user = settling
    seen = observe(model, images(), user)._replace(relaxation=None)
    assert picture(seen) is None


def test_the_report_has_both(settling, tmp_path):
    model, user = settling
    page = write(tmp_path, model=model, data=images(), geometry=user).read_text()
    assert "On the way to the fixed point" in page
    assert 'class="film"' in page


def test_a_player_needs_no_network():
    html = player([b"one", b"two"], ["start", 'the "end"'], "state")
    assert "http" not in html
    assert '"the \\"end\\""' in html
