"""Trainings side by side, each in a process of its own with one thread."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from io import StringIO
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import torch
from filelock import FileLock

from graphcolumns.analysis.entries import metric_entries, spikes
from graphcolumns.cli.analyse import analyse
from graphcolumns.cli.check import check_config
from graphcolumns.cli.compose import compose
from graphcolumns.cli.paths import plain
from graphcolumns.cli.prepare import prepare
from graphcolumns.cli.resume import run_training
from graphcolumns.cli.run_folder import write_config

# Before the overrides of the run, so that it can change them.
QUIET = ("report=false", "progress=false", "checkpoint_every=null")
Result = dict[str, Any]


class Job(NamedTuple):
    """One training for a worker."""

    overrides: tuple[str, ...]
    run: Path  # its folder, emptied first
    keep: bool  # the folder, when done
    analyse: tuple[Mapping[str, Any], ...] = ()  # functions that measure it, when done


class Workers:
    """A pool of processes that train; leave it with ``with``, and the runs in flight are stopped.

    A process that is killed (out of memory, say) takes the pool along: what was in flight then runs
    again, one at a time in new pools, and only what is killed once more has failed.

    Args:
        processes: Number of processes; 0 runs everything here, one job after the other.
        task: Function that each job is passed to; it must be importable (default: ``fit``).
    """

    def __init__(self, processes: int, task: Callable[[Any], Any] | None = None) -> None:
        self.processes, self.task = processes, task or fit
        self._pool: ProcessPoolExecutor | None = None
        self._others = set(multiprocessing.active_children())

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stop(at_once=kind is not None)

    def execute(self, jobs: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        """Run all jobs; gives the place of each in ``jobs`` with its result, as they end."""
        waiting = list(range(len(jobs)))
        while waiting:
            try:
                for place, result in self._each(jobs, waiting):
                    waiting.remove(place)
                    yield place, result
            except BrokenProcessPool:
                self._stop(at_once=True)
                # Jobs are handed over in order, so these were in flight.
                suspects, waiting = waiting[: self.processes], waiting[self.processes :]
                for place in suspects:
                    yield place, self._alone(jobs[place])

    def _each(self, jobs: Sequence[Any], places: Sequence[int]) -> Iterator[tuple[int, Any]]:
        if self.processes == 0:
            yield from ((place, self.task(jobs[place])) for place in list(places))
            return
        pool = self._pool = self._pool or _new_pool(self.processes)
        queue, flying = iter(list(places)), dict[Future[Any], int]()
        while True:
            # No more than can run: what was handed over looks the same as what has begun.
            for place in islice(queue, self.processes - len(flying)):
                flying[pool.submit(self.task, jobs[place])] = place
            if not flying:
                return
            for done in wait(flying, return_when=FIRST_COMPLETED).done:
                yield flying.pop(done), done.result()

    def _alone(self, job: Any) -> Any:
        try:
            with Workers(1, self.task) as workers:
                ((_, result),) = workers._each([job], [0])
        except BrokenProcessPool:
            return {"status": "failed", "error": "its process died twice; out of memory?"}
        return result

    def _stop(self, at_once: bool) -> None:
        if self._pool is None:
            return
        if at_once:
            for process in set(multiprocessing.active_children()) - self._others:
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


def fit(job: Job) -> Result:
    """Train as ``graphcolumns train`` does; an error is a result too.

    Of several commands that train the same run, in the same folder, one waits for the other.

    Returns:
        ``status``, ``error``, all of ``summary.json``, and of ``metrics.jsonl`` the last value of
        what the summary lacks (``last_KEY``), the mean of what only some steps have (``mean_KEY``),
        and how much the training loss rose at an update (``mean_spike``); and what the functions of
        ``analyse`` return.
    """
    job.run.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{job.run}.lock"):
        return _fit(job)


def _fit(job: Job) -> Result:
    shutil.rmtree(job.run, ignore_errors=True)  # what a run that was stopped left
    try:
        config = compose([*QUIET, *job.overrides, f"run={json.dumps(str(job.run))}"])
        values = check_config(plain(config, Path.cwd()))
        with redirect_stdout(StringIO()):
            prepared = prepare(values)
            write_config(job.run, values)
            run_training(prepared, job.run, values["report"])
        reported = _reported(job.run)
        measured = analyse(job.run, values, job.analyse)
        if twice := sorted(reported.keys() & measured):
            raise ValueError(f"analyse returns {', '.join(twice)}, which every run reports itself.")
        return {"status": "ok", "error": "", **reported, **measured}
    except Exception as error:
        return {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    finally:
        if not job.keep:
            shutil.rmtree(job.run, ignore_errors=True)


def _new_pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )


def _begin() -> None:
    """Of every worker."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End when the parent ends, also by SIGKILL: the result would not be read."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _reported(run: Path) -> Result:
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    entries = metric_entries(run)
    series: dict[str, list[float]] = {}
    for entry in entries:
        for name, value in entry.items():
            if isinstance(value, int | float) and name not in (*summary, "step", "lr"):
                series.setdefault(name, []).append(value)
    last = {f"last_{name}": values[-1] for name, values in series.items()}
    some = {name: values for name, values in series.items() if len(values) < len(entries)}
    if rises := spikes(entries):
        some["spike"] = rises
    return summary | last | {f"mean_{name}": mean(values) for name, values in some.items()}
