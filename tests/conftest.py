"""What every test shares: the lists that drive the matrices, seeds, and what may be skipped."""

import os
import random
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from geometries import cortex, grid, learned, sphere
from graphcolumns.ops import extension
from graphcolumns.plasticity import presets

# Tests import each other as `tests.*`. Last on the path, so that they test an installed wheel.
sys.path.append(str(Path(__file__).parents[1]))

if find_spec("graphcolumns.configs") is None:
    raise pytest.UsageError(
        "graphcolumns is imported from this folder, where its configs are not inside the package. "
        "Expected: an editable install (make test, or pip install --editable '.[test]'), or an "
        "installed wheel and the command `pytest`; `python -m pytest` looks into this folder first"
    )

# One list per kind. A test that takes an argument `backend` or `geometry` runs once per entry, so a
# new member is one line here and inherits every invariant of its kind.
BACKENDS = [
    pytest.param("reference", id="reference"),
    pytest.param("dense", id="dense"),
    pytest.param("cpp", id="cpp", marks=pytest.mark.cpp),
    # Carries the mark because this backend is torch-scatter's: without it there is nothing to test.
    pytest.param("scatter", id="scatter", marks=pytest.mark.scatter),
]

# Functions without arguments that return a Geometry, small enough to test every pair of columns.
GEOMETRIES = [
    pytest.param(lambda: grid.sheet(5, 7), id="sheet"),
    pytest.param(lambda: grid.sheet(5, 7, spacing=0.3, torus=True), id="torus"),
    pytest.param(lambda: grid.stack([3, 5]), id="stack"),
    pytest.param(lambda: grid.rows([3, 7, 2]), id="rows"),
    pytest.param(lambda: grid.ring(25), id="ring"),
    pytest.param(lambda: sphere.fibonacci(40, 3.0), id="fibonacci"),
    pytest.param(lambda: sphere.icosphere(1), id="icosphere"),
    pytest.param(lambda: learned.positions(grid.sheet(4, 6), [0, 5], 0.5), id="learned"),
    pytest.param(lambda: cortex.fsaverage(2, "right", "sphere"), id="fsaverage-sphere"),
    pytest.param(lambda: cortex.fsaverage(2, "left", "flat"), id="fsaverage-flat"),
    pytest.param(lambda: cortex.fsaverage(2, "left"), id="fsaverage-left"),
    # Two hemispheres that no path joins.
    pytest.param(lambda: cortex.fsaverage(2, "both", "inflated", True), id="fsaverage-both"),
]

# Functions of the length of a run that return a Rule, for sheets of 16 columns and 64 edges.
FEW = {"every": 2, "stop": 1.0, "samples": 16, "check_samples": 16}
FALLING = {"degree": 2, "initial": 4, **FEW}
RULES = [
    pytest.param(presets.static, id="static"),
    pytest.param(partial(presets.set, **FEW), id="set"),
    pytest.param(partial(presets.rigl, **FEW), id="rigl"),
    pytest.param(partial(presets.gmp, **FALLING), id="gmp"),
    pytest.param(partial(presets.granet, **FALLING), id="granet"),
    pytest.param(partial(presets.chts, **FALLING), id="chts"),
    pytest.param(partial(presets.mest, **FEW), id="mest"),
    pytest.param(partial(presets.homeostatic, rate=3.0, length=2.0, **FEW), id="homeostatic"),
    pytest.param(partial(presets.exact, fraction=0.5, **FEW), id="exact"),
    pytest.param(partial(presets.wiring, budget=40.0, fraction=0.5, **FEW), id="wiring"),
]

# A wrong id or a wrong pointer in a sparse tensor is an error where it is made, not a crash later.
torch.sparse.check_sparse_tensor_invariants.enable()

# The same examples in every run; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("default")


# Module scope, because hypothesis refuses fixtures that look fresh for every example and are not.
@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module", params=GEOMETRIES)
def geometry(request: pytest.FixtureRequest):
    return request.param()


@pytest.fixture(scope="module", params=RULES)
def rule(request: pytest.FixtureRequest):
    return request.param(steps=8)


@pytest.fixture(autouse=True)
def seed() -> int:
    """Seed everything; another value tells a failure by chance from a mistake."""
    value = int(os.environ.get("GRAPHCOLUMNS_TEST_SEED", "0"))
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - the global generator is what third parties draw from
    torch.manual_seed(value)
    return value


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests whose mark names something that this machine lacks."""
    missing = _missing()
    for item in items:
        for mark in item.iter_markers():
            if mark.name in missing:
                item.add_marker(pytest.mark.skip(reason=missing[mark.name]))


def _missing() -> dict[str, str]:
    """Marks that cannot run here, each with the reason."""
    missing = {}
    try:
        import torch_scatter  # noqa: F401
    except ModuleNotFoundError:
        missing["scatter"] = "torch-scatter is not installed"
    try:
        extension.require_build()
    except ImportError as error:
        missing["cpp"] = str(error)
    if not torch.cuda.is_available():
        missing["gpu"] = "no CUDA device"
    return missing
