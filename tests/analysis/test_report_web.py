"""The page in a browser."""

from pathlib import Path

import pytest
import torch

from geometries import cortex, grid, sphere
from graphcolumns import connect
from graphcolumns.analysis import report
from tests.analysis.support.browser import browser, look
from tests.analysis.test_relaxation import Settling, images
from tests.analysis.test_report import write
from tests.analysis.test_report_of_regions import SURFACE, encoder, responses_of
from tests.analysis.test_rewiring_figures import rewired

__all__ = ["browser"]
pytestmark = pytest.mark.web


@pytest.mark.parametrize(
    "user",
    [
        pytest.param(grid.sheet(8, 8), id="sheet"),
        pytest.param(grid.stack([8, 8, 8]), id="stack"),
        pytest.param(sphere.icosphere(2), id="icosphere"),
        pytest.param(cortex.fsaverage(3, "both"), id="fsaverage"),
    ],
)
def test_opens_without_error_or_request(browser, tmp_path, user):
    page = write(tmp_path, user)
    assert page.stat().st_size < 10e6
    tab, errors, requests = look(browser, page)
    assert errors == []
    assert requests == []
    assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    views = tab.locator("canvas").count()
    assert (views > 0) == (user.positions.shape[1] == 3)


def test_a_button_changes_the_map(browser, tmp_path):
    tab, errors, _ = look(browser, write(tmp_path, sphere.icosphere(2)))
    view = "document.querySelector('#activity .plotly-graph-div')"
    first = tab.evaluate(f"Array.from({view}.data[0].intensity)")
    tab.locator("#activity .updatemenu-button", has_text="step 2").click()
    tab.wait_for_timeout(300)
    assert tab.evaluate(f"Array.from({view}.data[0].intensity)") != first
    assert errors == []


def test_a_picture_can_be_saved(browser, tmp_path):
    tab, errors, _ = look(browser, write(tmp_path, grid.sheet(8, 8)))
    with tab.expect_download() as waiting:
        tab.locator("#lengths a", has_text="PNG").click()
    assert waiting.value.suggested_filename == "lengths.png"
    with tab.expect_download() as waiting:
        tab.locator("#lengths a", has_text="CSV").click()
    saved = Path(waiting.value.path()).read_text()
    assert saved == (tmp_path / "report/lengths.csv").read_text()
    assert errors == []


def test_a_film_plays(browser, tmp_path):
    torch.manual_seed(0)
    user = grid.sheet(4, 5)
    model = Settling(connect.nearest(user, degree=3))
    page = report.write(tmp_path, model=model, data=images(), geometry=user)
    tab, errors, requests = look(browser, page)
    assert errors == requests == []
    film = tab.locator("#relaxation .film")
    first = film.locator("img").get_attribute("src")
    film.locator("button").click()
    tab.wait_for_timeout(1500)
    assert film.locator("output").evaluate("e => e.value") == "iteration 6"
    assert film.locator("img").get_attribute("src") != first


def test_a_wiring_that_grows_plays(browser, tmp_path):
    rewired(tmp_path, grid.sheet(8, 8))
    tab, errors, requests = look(browser, tmp_path / "report.html")
    assert errors == requests == []
    film = tab.locator("#wiring_over_time .film")
    label = "e => e.value"
    assert film.locator("output").evaluate(label).startswith("step 0: ")
    seen = {film.locator("img").get_attribute("src")}
    film.locator("input").press("ArrowRight")
    assert film.locator("output").evaluate(label).endswith(" edges, 2 born, 0 pruned")
    seen.add(film.locator("img").get_attribute("src"))
    film.locator("button").click()
    tab.wait_for_timeout(2500)
    assert film.locator("output").evaluate(label).startswith("step 20: ")
    seen.add(film.locator("img").get_attribute("src"))
    assert len(seen) == 3
    assert film.locator("button").inner_text() == "Play"


def test_regions_are_on_a_surface_that_turns(browser, tmp_path):
    data = responses_of()
    page = report.write(tmp_path, model=encoder(data), data=data, geometry=SURFACE)
    tab, errors, requests = look(browser, page)
    assert errors == requests == []
    assert tab.locator("#region_scores table.regions tr").count() == 7
    assert tab.locator("#accuracy_on_surface canvas").count() > 0
    assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
