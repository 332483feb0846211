"""What is built and tried for a run is built and tried once."""

import sys
from collections import Counter
from collections.abc import Callable

import pytest
import yaml

from graphcolumns.analysis.report import check_report
from graphcolumns.cli import load, main, resume
from graphcolumns.cli.build import build, make_model
from graphcolumns.cli.check import check_config
from graphcolumns.data import digits
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.plasticity import Plasticity
from graphcolumns.training.fit import check_fit
from graphcolumns.training.training import Training

WORDS = [
    *("geometry=sheet", "geometry.height=4", "geometry.width=4", "graph=nearest", "degree=3"),
    *("model.channels=4", "model.depth=1", "model.heads=1", "model.interface.stride=2", "steps=4"),
    *("data.train_size=100", "batch_size=8", "progress=false", "checkpoint_every=2"),
    *("plasticity=rigl", "plasticity.every=2", "plasticity.samples=16"),
]
ONCE = {
    "config": check_config,
    "built": build,
    "data": digits,
    "model function": make_model,
    "model": Columnformer.__init__,
    "training": Training.__init__,
    "sample": check_fit,
    "rule": Plasticity.dry_run,
    "report": check_report,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Pictures are a million calls, each of which would be looked at.
    monkeypatch.setattr(resume, "write_report", lambda parts, run: run / "report.html")


def calls(run: Callable[[], object]) -> Counter[str]:
    """How often each of these functions is entered while `run` runs."""
    names = {function.__code__: name for name, function in ONCE.items()}
    counts: Counter[str] = Counter()

    def note(frame, event, _):
        if event == "call" and frame.f_code in names:
            counts[names[frame.f_code]] += 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return counts


def test_a_run_and_its_continuation():
    once = dict.fromkeys(ONCE, 1)
    assert calls(lambda: main(["train", *WORDS, "run=a"])) == once
    assert calls(lambda: main(["resume", "a", "steps=6"])) == once


def test_every_run_of_a_sweep():
    words = ["train", "-m", *WORDS, "seed=0,1", "hydra.sweep.dir=s"]
    assert calls(lambda: main(words)) == dict.fromkeys(ONCE, 2)


def test_every_run_of_an_experiment(tmp_path):
    definition = {
        "claim": "more edges help",
        "falsified_if": "they do not",
        "base": [word for word in WORDS if not word.startswith(("degree", "progress"))],
        "arms": {"near": ["graph=nearest"], "far": ["graph=random"]},
        "baseline": "near",
        "variants": {"3": ["degree=3"]},
        "seeds": [0],
        "tuning": None,
        "measure": {"x": "edges"},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(definition))
    found = calls(lambda: main(["experiment", "mine.yaml", "out=out", "processes=0"]))
    # Both arms are checked before any run begins; experiments write no reports of their runs.
    expected = dict.fromkeys(ONCE, 2) | {"config": 2 + 2}
    expected.pop("report")
    assert found == expected


def test_reading_a_run_tries_nothing():
    assert main(["train", *WORDS, "run=a", "report=false"]) == 0
    found = calls(lambda: load("a"))
    assert not {"training", "sample", "rule", "report"} & found.keys()
    assert found["data"] == found["config"] == 1
