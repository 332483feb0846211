"""Surfaces in a browser."""

import pytest
import torch

from geometries import cortex
from graphcolumns.analysis.brain import SurfaceMap, write_surface_page
from tests.analysis.support.browser import browser, look

__all__ = ["browser"]
pytestmark = pytest.mark.web

PLOT = "document.querySelector('[data-is=plot]')"


def test_a_surface_is_chosen_turned_and_coloured(browser, tmp_path):
    surfaces = {kind: cortex.fsaverage(3, surface=kind) for kind in ("inflated", "flat")}
    ids = {"left": torch.arange(100, 642), "right": torch.arange(300)}
    values = torch.linspace(-1, 1, 842)
    maps = {
        "correlation": SurfaceMap(values, "correlation r", limits=(0, 1)),
        "difference": SurfaceMap(values / 2, "r minus that of ridge", difference=True),
    }
    page = write_surface_page(tmp_path / "page.html", maps, surfaces, ids)
    tab, errors, requests = look(browser, page)
    assert errors == requests == []
    colours = tab.evaluate(f"{PLOT}.data.map(trace => trace.vertexcolor)")
    assert len(colours) == 2
    # Vertices of the left hemisphere below 100 have no data.
    known = surfaces["inflated"].attributes
    left = known["vertex"][known["hemisphere"] == 0]
    grey = torch.tensor([colour in ("#bdbdbd", "#9a9a9a") for colour in colours[0]])
    assert torch.equal(grey, left < 100)
    assert tab.locator("[data-is=low]").inner_text() == "≤ 0"
    tab.locator("[data-is=map]").select_option(label="difference")
    assert tab.locator("[data-is=low]").inner_text() == "-0.5"
    assert tab.evaluate(f"{PLOT}.data[0].vertexcolor") != colours[0]
    assert tab.evaluate(f"{PLOT}.data[0].text[0]").startswith("left vertex ")
    eye = tab.evaluate(f"{PLOT}.layout.scene.camera.eye")
    tab.locator("[data-is=eye]").select_option(label="left")
    assert tab.evaluate(f"{PLOT}.layout.scene.camera.eye") != eye
    tab.locator("[data-is=sides] input").nth(1).uncheck()
    assert tab.evaluate(f"{PLOT}.data.length") == 1
    tab.locator("[data-is=surface]").select_option(label="flat")
    assert tab.evaluate(f"{PLOT}.layout.scene.camera.up.y") == 1
    assert errors == requests == []
