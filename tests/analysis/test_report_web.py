"""The page in a browser."""

import shutil
from pathlib import Path

import pytest
import torch

from geometries import cortex, grid, sphere
from graphcolumns import connect
from graphcolumns.analysis import report
from tests.analysis.test_relaxation import Settling, images
from tests.analysis.test_report import write

pytestmark = pytest.mark.web

ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser():
    path = shutil.which("chromium") or shutil.which("google-chrome")
    playwright = pytest.importorskip("playwright.sync_api")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        opened.close()


def look(browser, page: Path) -> tuple[object, list[str], list[str]]:
    """The open page, what its console complains about, and what it asks of the network."""
    tab = browser.new_page()
    errors: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    local = ("file:", "data:", "blob:")
    tab.on("request", lambda r: None if r.url.startswith(local) else requests.append(r.url))
    tab.goto(page.resolve().as_uri())
    tab.wait_for_timeout(1500)
    return tab, errors, requests


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
    film = tab.locator(".film")
    first = film.locator("img").get_attribute("src")
    film.locator("button").click()
    tab.wait_for_timeout(1500)
    assert film.locator("output").evaluate("e => e.value") == "iteration 6"
    assert film.locator("img").get_attribute("src") != first
