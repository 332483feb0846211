"""Runs of earlier versions on fsaverage, which took other vertices for the medial wall."""

from pathlib import Path

import pytest
import torch

from geometries import cortex
from graphcolumns.cli import former_wall, load, main

TINY = [
    *("geometry=fsaverage", "geometry.level=2", "geometry.hemisphere=left", "graph=nearest"),
    *("degree=3", "model.channels=4", "model.depth=1", "model.heads=1", "steps=2"),
    *("data.train_size=60", "batch_size=8", "progress=false", "report=false"),
    *("augmentation=null", "evaluate_test=false"),
]


def trained(folder: Path, wall: str) -> Path:
    assert main(["train", *TINY, f"geometry.medial_wall={wall}", f"run={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def former(tmp_path_factory) -> Path:
    """A run as earlier versions left one: the columns of then, ``medial_wall: false``."""
    run = trained(tmp_path_factory.mktemp("runs") / "former", "flat map")
    config = run / "config.yaml"
    written = config.read_text()
    assert "medial_wall: flat map" in written
    config.write_text(written.replace("medial_wall: flat map", "medial_wall: false"))
    return run


def test_a_run_of_an_earlier_version_has_its_columns(former):
    parts = load(former)
    assert parts.geometry.num_columns == parts.graph.num_columns == 151
    vertex = cortex.fsaverage(2, "left", medial_wall="flat map").attributes["vertex"]
    assert torch.equal(parts.geometry.attributes["vertex"], vertex)


def test_it_goes_on(former):
    assert main(["resume", str(former), "steps=4"]) == 0
    assert load(former).graph.num_columns == 151


def test_a_run_of_today_has_those_of_today(tmp_path):
    parts = load(trained(tmp_path / "run", "false"))
    assert parts.geometry.num_columns == parts.graph.num_columns == 149


def test_without_a_checkpoint_the_configuration_stays(tmp_path):
    config = {"geometry": {"_target_": former_wall.FSAVERAGE, "medial_wall": False}}
    assert former_wall.with_former_wall(config, tmp_path) == config


def test_a_cortex_inside_another_geometry_is_found(former):
    cut = {"_target_": former_wall.FSAVERAGE, "level": 2, "hemisphere": "left"}
    config = {"geometry": {"_target_": "geometries.learned.positions", "geometry": cut}, "seed": 0}
    found = former_wall.with_former_wall(config, former)
    assert found["geometry"]["geometry"] == cut | {"medial_wall": "flat map"}
    assert (found["seed"], cut.get("medial_wall")) == (0, None)


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_numbers_of_columns_are_those_of_the_catalogue(level):
    for side, name in enumerate(("left", "right")):
        for wall, surface, table in (
            ("flat map", "pial", former_wall.FORMER),
            (False, "pial", former_wall.TODAY),
            (False, "flat", former_wall.ON_FLAT),
        ):
            geometry = cortex.fsaverage(level, name, surface, wall)
            assert geometry.num_columns == table[level][side]
