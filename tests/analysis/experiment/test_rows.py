"""The CSV of raw rows: whole at any moment, and only of its own experiment."""

import pytest

from graphcolumns.analysis.experiment import Rows, read_experiment
from graphcolumns.analysis.experiment.plan import tuning_runs
from tests.analysis.experiment.support.definitions import TINY, written

GOOD = {"status": "ok", "error": "", "validation_accuracy": 0.1 + 0.2, "edges": 7, "seed": 5}


@pytest.fixture
def experiment(tmp_path):
    return read_experiment(written(tmp_path))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "rows.csv"


def test_what_is_written_is_read(experiment, path):
    runs = tuning_runs(experiment)
    rows = Rows(path, experiment)
    assert (rows.all(), rows.keys()) == ([], set())
    rows.add(runs[0], GOOD)
    rows.add(runs[7], {"status": "failed", "error": "one,\n 'two'"})
    rows.add(runs[8], GOOD | {"churn": 0.5, "device": "cpu"})
    assert path.read_bytes().count(b"\n") == 4
    again = Rows(path, experiment)
    first, failed, last = again.all()
    assert again.keys() == {runs[0].key, runs[7].key, runs[8].key}
    assert first["validation_accuracy"] == 0.1 + 0.2  # every digit
    assert (first["edges"], first["seed"], first["trial"], first["churn"]) == (7, 100, 0, None)
    assert (failed["error"], failed["edges"]) == ("one, 'two'", None)
    assert failed["tuned"] == "c=2 d=null"
    assert (last["churn"], last["device"]) == (0.5, "cpu")


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_half_written_last_line_is_dropped(experiment, path, cut):
    runs = tuning_runs(experiment)
    rows = Rows(path, experiment)
    rows.add(runs[0], GOOD)
    rows.add(runs[1], GOOD)
    path.write_bytes(path.read_bytes()[:-cut])
    again = Rows(path, experiment)
    assert again.keys() == {runs[0].key}
    again.add(runs[1], GOOD)
    assert len(Rows(path, experiment).all()) == 2


def test_another_definition_is_refused(experiment, path, tmp_path):
    Rows(path, experiment).add(tuning_runs(experiment)[0], GOOD)
    for changes in ({"base": ["a=2"]}, {"variants": {"2%": ["e=4"]}}):
        with pytest.raises(ValueError, match=r"rows.csv was written by another definition .* '2%'"):
            Rows(path, read_experiment(written(tmp_path, **changes)))
    arms = {name: arm for name, arm in TINY["arms"].items() if name != "plain"}
    with pytest.raises(ValueError, match="out=FOLDER"):
        Rows(path, read_experiment(written(tmp_path, arms=arms, baseline="rich")))
    more = TINY["arms"] | {"new": ["b=8"]}
    assert len(Rows(path, read_experiment(written(tmp_path, arms=more, seeds=[0, 5]))).all()) == 1


def test_damaged(experiment, path):
    path.parent.mkdir()
    for text in ("a,b\n1,2\n", "experiment,kind\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="is damaged, or no table of an experiment"):
            Rows(path, experiment)
    path.unlink()
    rows = Rows(path, experiment)
    rows.add(tuning_runs(experiment)[0], GOOD)
    path.write_text(path.read_text().replace(",ok,", ",ok,,"))
    with pytest.raises(ValueError, match="is damaged"):
        Rows(path, experiment)


def test_failures_can_be_forgotten(experiment, path):
    runs = tuning_runs(experiment)
    rows = Rows(path, experiment)
    rows.add(runs[0], {"status": "failed", "error": "x"})
    rows.add(runs[1], GOOD)
    assert rows.drop_failed() == 1
    assert Rows(path, experiment).keys() == {runs[1].key}
