"""The film of a wiring that grows: what is drawn is what the log of births and deaths says."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from geometries import cortex, grid, sphere
from graphcolumns import connect
from graphcolumns.analysis import draw
from graphcolumns.analysis.edge_lifetimes import edge_lifetimes
from graphcolumns.analysis.figures import activity, growing
from graphcolumns.analysis.figures.growing import drawn_edges, wiring_frames
from graphcolumns.analysis.figures.moments import wiring
from graphcolumns.analysis.film import gif, small_pngs
from graphcolumns.analysis.wire_layout import wire_panels
from graphcolumns.checkpoint import read_history
from graphcolumns.geometry import Geometry
from tests.analysis.support import histories
from tests.analysis.support.histories import events

SQUARE = grid.sheet(2, 2)


def changed(geometry, updates=3, count=4, seed=0):
    """A log of a graph of nearest columns in which every update swaps some edges."""
    draws = np.random.default_rng(seed)
    graph = connect.nearest(geometry, 4)
    alive = set(zip(graph.target.tolist(), graph.source.tolist(), strict=True))
    log = [(0, [], sorted(alive))]
    for update in range(1, updates + 1):
        died = {sorted(alive)[i] for i in draws.choice(len(alive), count, replace=False)}
        pairs = draws.integers(geometry.num_columns, size=(200, 2)).tolist()
        born = sorted({tuple(pair) for pair in pairs} - alive)[:count]
        alive = (alive - died) | set(born)
        log.append((10 * update, sorted(died), born))
    return log


def ends(found, part) -> set[tuple[int, int]]:
    return set(zip(found.target[part].tolist(), found.source[part].tolist(), strict=True))


def test_frames_by_hand():
    found = edge_lifetimes(events())
    frames = wiring_frames(found)
    assert [frame.step for frame in frames] == [0, 10, 20, 30]
    assert [frame.edges for frame in frames] == [4, 4, 5, 4]
    assert [frame.born for frame in frames] == [0, 1, 2, 1]
    assert [frame.died for frame in frames] == [0, 1, 1, 2]
    assert frames[2].label == "step 20: 5 edges, 2 born, 1 pruned"
    stays, dies, newborn, both = (ends(found, part) for part in frames[2].kinds.values())
    assert (stays, dies) == ({(2, 3), (3, 3)}, {(0, 2)})
    assert (newborn, both) == ({(3, 0)}, {(0, 1)})


def test_every_frame_is_a_line_of_the_log(tmp_path):
    histories.write(tmp_path, changed(grid.sheet(5, 5)))
    log = read_history(tmp_path)
    found = edge_lifetimes(log)
    frames = wiring_frames(found)
    assert len(frames) == len(log)
    for frame, event, following in zip(frames, log, [*log[1:], None], strict=True):
        stays, dies, newborn, both = (ends(found, part) for part in frame.kinds.values())
        born = set(map(tuple, event.born.t().tolist())) if event.update else set()
        assert newborn | both == born
        gone = set() if following is None else set(map(tuple, following.died.t().tolist()))
        assert dies | both == gone
        assert len(stays | dies | newborn | both) == frame.edges
        assert (frame.born, frame.died) == (len(born), event.died.shape[1])


def test_fewer_frames_than_updates_count_what_lies_between():
    log = changed(grid.sheet(5, 5), updates=9)
    frames = wiring_frames(edge_lifetimes(events(log)), 4)
    assert len(frames) == 4
    assert sum(frame.born for frame in frames) == sum(frame.died for frame in frames) == 36


def test_lines_of_a_frame_join_the_columns(monkeypatch):
    """Each line that a frame draws ends at the two columns of an edge of its kind."""
    geometry, calls = grid.sheet(5, 5), []
    found = edge_lifetimes(events(changed(geometry)))
    original = draw.lines

    def noted(axes, panel, targets, sources, **style):
        drawn = original(axes, panel, targets, sources, **style)
        calls.append((style["colors"], 0 if drawn is None else drawn.get_segments()))
        return drawn

    monkeypatch.setattr(growing.draw, "lines", noted)
    drawn, said = drawn_edges(found, geometry)
    assert drawn.all()
    assert said.startswith("All edges")
    growing.growing(found, geometry, drawn)
    (panel,) = wire_panels(geometry)
    place = dict(zip(panel.members.tolist(), panel.places.tolist(), strict=True))
    shown = iter(calls)
    for frame in wiring_frames(found):
        for name, part in frame.kinds.items():
            colour, segments = next(shown)
            assert colour == growing.STYLES[name]["colors"]
            expected = sorted([*place[s], *place[t]] for t, s in ends(found, part) if t != s)
            lines = [] if isinstance(segments, int) else segments
            assert np.allclose(sorted([*line[0], *line[-1]] for line in lines), expected)


@pytest.mark.parametrize(
    "geometry",
    [
        pytest.param(grid.sheet(4, 6), id="sheet"),
        pytest.param(grid.stack([4, 3, 2]), id="stack"),
        pytest.param(sphere.icosphere(1), id="icosphere"),
        pytest.param(cortex.fsaverage(2, "both"), id="two hemispheres"),
        pytest.param(grid.ring(9), id="ring"),
        pytest.param(Geometry(torch.rand(20, 3)), id="cloud"),
    ],
)
def test_every_edge_has_a_place_on_a_panel(geometry):
    n = geometry.num_columns
    target, source = (ends.ravel() for ends in np.meshgrid(np.arange(n), np.arange(n)))
    shown = np.zeros(n * n, dtype=int)
    for panel in wire_panels(geometry):
        shown += draw._ends(panel, target, source)[1]
    assert (shown[target == source] == 0).all()
    assert (shown[target != source] > 0).all()


def test_an_edge_of_a_sphere_is_on_the_side_of_its_middle():
    geometry = sphere.icosphere(1)
    left, right = wire_panels(geometry)
    x = geometry.positions[:, 0].double().numpy()
    target, source = (ends.ravel() for ends in np.meshgrid(*[np.arange(len(x))] * 2))
    apart = target != source
    for panel, sign in ((left, -1), (right, 1)):
        here = draw._ends(panel, target, source)[1]
        middle = sign * (x[target] + x[source])
        assert here[apart & (middle > 1e-6)].all()
        assert not here[middle < -1e-6].any()


def test_a_film_is_in_the_picture():
    geometry = grid.sheet(5, 5)
    found = edge_lifetimes(events(changed(geometry)))
    picture = wiring(found, geometry, np.ones(len(found.born)))
    assert "a frame for the start and for every update" in picture.caption
    assert len(picture.frames) == 4
    sizes = {Image.open(io.BytesIO(frame)).size for frame in picture.frames}
    assert len(sizes) == 1
    assert picture.html.count("data:image/png;base64,") == 5  # the first is shown
    assert "step 10: 100 edges, 4 born, 4 pruned" in picture.html
    film = Image.open(io.BytesIO(gif(picture.frames)))
    assert film.n_frames == 4


@pytest.mark.parametrize(
    ("geometry", "log"),
    [
        pytest.param(SQUARE, [(0, [], [(0, 1)]), (5, [], [])], id="no change"),
        pytest.param(grid.sheet(1, 1), [(0, [], [(0, 0)]), (5, [], [])], id="one column"),
        pytest.param(SQUARE, [(0, [], []), (5, [], [])], id="no edges"),
    ],
)
def test_no_film_where_nothing_changes(geometry, log):
    found = edge_lifetimes(events(log))
    picture = wiring(found, geometry, np.zeros(len(found.born)))
    assert picture.html is None
    assert picture.frames == ()
    assert "film" not in picture.caption


@pytest.mark.parametrize(
    ("geometry", "log", "steps"),
    [
        pytest.param(SQUARE, [(0, [], []), (5, [], [(0, 1)])], [0, 5], id="first edge"),
        pytest.param(SQUARE, [(0, [], [(0, 1)]), (5, [(0, 1)], [])], [0, 5], id="last edge"),
        pytest.param(grid.sheet(1, 1), [(0, [], []), (5, [], [(0, 0)])], [0, 5], id="one column"),
    ],
)
def test_odd_wirings_have_a_film(geometry, log, steps):
    found = edge_lifetimes(events(log))
    picture = wiring(found, geometry, np.zeros(len(found.born)))
    assert len(picture.frames) == len(steps)


def test_many_edges_are_sampled_and_the_page_says_so():
    geometry = grid.sheet(30, 30)
    near = connect.nearest(geometry, 9)
    start = list(zip(near.target.tolist(), near.source.tolist(), strict=True))
    born = [(t, s) for t in range(40) for s in range(700, 900)]
    found = edge_lifetimes(events([(0, [], start), (9, start[:100], born)]))
    drawn, said = drawn_edges(found, geometry)
    lasting, others = re.findall(r"random (\d+)%", said)
    stays = found.initial & found.survived
    assert drawn[stays].mean() == pytest.approx(int(lasting) / 100, abs=0.02)
    assert drawn[~stays].mean() == pytest.approx(int(others) / 100, abs=0.02)
    assert drawn[~stays].sum() < growing.LINES


def test_frames_keep_white_and_the_colours_of_edges():
    frame = np.full((8, 8, 3), 255, dtype=np.uint8)
    frame[0] = [0, 0x72, 0xB2]
    frame[1] = 250 + np.arange(24).reshape(8, 3) % 5
    (encoded,) = small_pngs([frame])
    back = np.array(Image.open(io.BytesIO(encoded)).convert("RGB"))
    assert (back[2:] == 255).all()
    assert (back[0] == [0, 0x72, 0xB2]).all()


def test_activity_is_played_step_by_step():
    values, geometry = np.arange(36.0).reshape(3, 12), grid.sheet(3, 4)
    frames, labels = activity._film(values, geometry)
    assert labels == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert len(set(frames)) == 3
    assert activity._film(values[:1], geometry) == ([], [])
    assert len(activity._film(np.ones((40, 12)), geometry)[0]) == activity.FRAMES
