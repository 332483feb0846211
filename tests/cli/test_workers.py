"""One run of an experiment, in its folder."""

from threading import Thread

from filelock import FileLock

from graphcolumns.cli.workers import Job, fit


def test_a_run_that_another_command_trains_is_left_alone_until_it_is_done(tmp_path):
    run, found = tmp_path / "final" / "seed0", []
    run.mkdir(parents=True)
    job = Job(("nonsense=1",), run, keep=False)
    waiting = Thread(target=lambda: found.append(fit(job)))
    with FileLock(f"{run}.lock"):
        waiting.start()
        waiting.join(0.5)
        assert run.is_dir()
        assert not found
    waiting.join()
    assert not run.exists()
    assert found[0]["status"] == "failed"
    assert "nonsense" in found[0]["error"]
