"""Two writers of one table: no row is lost, whenever one of them is killed."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from graphcolumns.analysis.experiment import Rows, read_experiment
from graphcolumns.analysis.experiment.plan import tuning_runs
from tests.analysis.experiment.support.definitions import written

GOOD = {"status": "ok", "error": "", "validation_accuracy": 0.5}
KILLS = 100


def add_all(definition, path, first, said):
    """Add every other run, and say after each that it is in the file."""
    experiment = read_experiment(definition)
    rows = Rows(path, experiment)
    for run in tuning_runs(experiment)[first::2]:
        rows.add(run, GOOD)
        os.write(said, b"%d," % run.trial + run.arm.encode() + b"\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, for speed")
def test_no_row_that_was_added_is_ever_lost(tmp_path):
    """A hundred times one of two writers is killed at a random moment; the other goes on."""
    definition, moments = written(tmp_path), random.Random(0)
    experiment, context = read_experiment(definition), multiprocessing.get_context("fork")
    total, lengths = {run.key for run in tuning_runs(experiment)}, set()
    for kill in range(KILLS):
        path = tmp_path / str(kill) / "rows.csv"
        reader, writer = os.pipe()
        both = [
            context.Process(target=add_all, args=(definition, path, first, writer))
            for first in (0, 1)
        ]
        for process in both:
            process.start()
        time.sleep(moments.uniform(0.0, 0.03))
        os.kill(both[0].pid, signal.SIGKILL)
        for process in both:
            process.join()
        os.close(writer)
        with os.fdopen(reader) as lines:
            added = {tuple(line.strip().split(",")) for line in lines}
        assert both[1].exitcode == 0
        keys = Rows(path, experiment).keys()
        assert keys <= total
        assert added <= {(str(trial), arm) for _, arm, _, _, trial in keys}
        assert len([key for key in keys if key in list(total)]) >= len(total) // 2
        lengths.add(len(keys))
    # The kills came before, between and after the rows of the one that was killed.
    assert len(lengths) > 1


def test_of_two_results_of_one_run_the_first_counts(tmp_path):
    experiment = read_experiment(written(tmp_path))
    run = tuning_runs(experiment)[0]
    one, other = (Rows(tmp_path / "rows.csv", experiment) for _ in range(2))
    one.add(run, GOOD)
    other.add(run, GOOD | {"validation_accuracy": 0.9})
    assert [row["validation_accuracy"] for row in other.all()] == [0.5]


def test_what_another_has_added_since_is_kept(tmp_path):
    experiment = read_experiment(written(tmp_path))
    runs = tuning_runs(experiment)
    one, other = (Rows(tmp_path / "rows.csv", experiment) for _ in range(2))
    one.add(runs[0], GOOD)
    other.add(runs[1], GOOD | {"status": "failed"})
    one.add(runs[2], GOOD)
    assert one.keys() == {run.key for run in runs[:3]}
    assert other.drop_failed() == 1
    assert other.drop_failed() == 0
    one.add(runs[1], GOOD)
    assert other.drop_failed() == 0  # that another added one is no failure dropped
    assert one.keys() == {run.key for run in runs[:3]}
    one, other = (Rows(tmp_path / "rest.csv", experiment) for _ in range(2))
    one.add(runs[0], GOOD)
    assert other.drop_failed() == 0
    other.add(runs[2], GOOD)
    assert other.keys() == {runs[0].key, runs[2].key}
