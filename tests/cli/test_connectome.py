"""``graphcolumns connectome`` on files and on a run."""

import csv
from pathlib import Path

import numpy as np
import pytest

from graphcolumns.cli.main import main

QUICK = ["--nulls", "2", "--densities", "0.3"]
TINY = [
    *("geometry=stack", "geometry.widths=[8]", "graph=nearest", "graph.degree=5"),
    *("model.channels=4", "model.depth=2", "model.heads=1", "data.train_size=60"),
    *("steps=2", "batch_size=8", "progress=false", "experiment=digits", "report=false"),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def metrics(folder: str) -> dict[tuple[str, str], float]:
    with (Path(folder) / "metrics.csv").open() as file:
        return {
            (row["graph"], row["metric"]): float(row["value"] or "nan")
            for row in csv.DictReader(file)
        }


def test_a_matrix(capsys):
    generator = np.random.default_rng(0)
    np.save("brain.npy", generator.lognormal(0, 1, (12, 12)) * (generator.random((12, 12)) < 0.5))
    np.save("places.npy", generator.random((12, 3)))
    given = ["connectome", "brain.npy", "--rows", "targets", "--positions", "places.npy", *QUICK]
    assert main(given) == 0
    out = capsys.readouterr().out
    assert out.startswith("12 columns, ")
    assert "| strongest 30 % | mean degree |" in out
    assert out.endswith("connectome          brain-connectome\n")
    found = metrics("brain-connectome")
    assert {("directed", "sd_log_weight"), ("strongest", "wiring_ratio")} <= found.keys()
    assert Path("brain-connectome/distance_rule-30.pdf").exists()
    assert main(given) == 2
    assert "brain-connectome must not exist: nothing is overwritten" in capsys.readouterr().err
    assert main([*given, "--out", "other"]) == 0
    assert metrics("other") == found


def test_a_run(capsys):
    assert main(["train", *TINY, "run=a"]) == 0
    capsys.readouterr()
    assert main(["connectome", "a", *QUICK, "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "weights are attention, mean over samples and 2 steps." in out
    assert "mean length (pixel)" in out
    assert Path("a/connectome/metrics.md").read_text() in out
    # 64 columns with five sources each, one of them the column itself.
    assert metrics("a/connectome")["directed", "density"] == pytest.approx(4 / 63)
    assert main(["connectome", "a", *QUICK, "--out", "b", "--graph", "other"]) == 2
    assert "Of this model these are: 'graph'. Got 'other'" in capsys.readouterr().err


def test_signs(capsys):
    np.save("signed.npy", [[0, -1, 2], [-1, 0, 1], [2, 1, 0]])
    assert main(["connectome", "signed.npy", "--nulls", "0"]) == 2
    err = capsys.readouterr().err
    assert "weights of signed must be 0 or above. Got -1.0 at edge 0; pass --absolute" in err
    assert not Path("signed-connectome").exists()
    assert main(["connectome", "signed.npy", "--nulls", "0", "--absolute"]) == 0
    assert metrics("signed-connectome")["directed", "density"] == 1


def test_several_are_read_before_any_is_written(capsys):
    Path("good.csv").write_text("0,1,1\n1,0,1\n1,1,0\n")
    Path("bad.csv").write_text("0,1,nan\n1,0,1\n1,1,0\n")
    assert main(["connectome", "good.csv", "bad.csv", "--nulls", "0", "--out", "both"]) == 2
    assert "of bad.csv must hold finite numbers. Got 'nan'" in capsys.readouterr().err
    assert not Path("both").exists()


def test_a_matrix_that_is_not_symmetric(capsys):
    np.save("m.npy", [[0, 1], [2, 0]])
    assert main(["connectome", "m.npy"]) == 2
    assert "needs to say what its rows are" in capsys.readouterr().err


def test_wrong_options(capsys):
    for given, message in (
        (["--densities", "x"], "argument --densities: invalid"),
        (["--nulls", "x"], "argument --nulls: invalid int value"),
        (["--rows", "columns"], "argument --rows: invalid choice"),
    ):
        with pytest.raises(SystemExit):
            main(["connectome", "m.npy", *given])
        assert message in capsys.readouterr().err


def test_several_side_by_side(capsys):
    generator = np.random.default_rng(0)
    for name in ("one", "two"):
        np.save(
            f"{name}.npy", generator.lognormal(0, 1, (12, 12)) * (generator.random((12, 12)) < 0.5)
        )
    given = ["connectome", "one.npy", "other=two.npy", "--rows", "targets", *QUICK]
    assert main([*given, "--out", "both"]) == 0
    out = capsys.readouterr().out
    assert "one: 12 columns" in out
    assert "other: 12 columns" in out
    assert Path("both/side_by_side.png").exists()
    assert metrics("both/one") != metrics("both/other")
    assert main(["connectome", "one.npy", "two.npy", "one=two.npy", *QUICK]) == 2
    assert "must have different labels. Got 'one' for two.npy" in capsys.readouterr().err
