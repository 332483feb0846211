"""``graphcolumns train -m``: every combination, each in a folder of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from graphcolumns.cli.compose import NAME, compose, composing, quote, search_override
from graphcolumns.cli.groups import without_nulls
from graphcolumns.cli.member import ERROR, State, is_done, reason, run_member, state
from graphcolumns.cli.members import Member, combinations, members

OURS = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def is_of_hydra(override: str) -> bool:
    """Whether an override changes hydra itself: ``hydra.sweep.dir=...``, ``hydra/launcher=...``."""
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))


def sweep(overrides: Sequence[str], config_dir: str | None) -> int | None:
    """Run what is missing of a sweep, and say what failed.

    Runs that are done are kept, and runs that were stopped continue; both only if their
    configuration is the same now as then. All is checked before anything runs. A run that
    fails leaves ``error.log`` in its folder, and the others go on.

    Args:
        overrides: Values to combine, each ``KEY=A,B,C``.
        config_dir: A further folder with config groups of the user.

    Returns:
        0; 1 if runs failed; 130 after Ctrl-C; None if another sweeper was chosen, and nothing is
        done.

    Raises:
        ValueError, TypeError: A run is faulty; a note names it.
        FileExistsError: One of the folders holds another run.
    """
    settings = [text for text in overrides if is_of_hydra(text)]
    varied = [text for text in overrides if not is_of_hydra(text)]
    with composing() as loader:
        first = _first(combinations(varied, loader)[0], settings, config_dir)
        if first.hydra.sweeper._target_ != OURS:
            return None
        own = [f"{key}={value}" for key, value in (first.hydra.sweeper.params or {}).items()]
        found = combinations([*own, *varied], loader)
        runs = members(found, settings, config_dir, first)
        states = [state(member.run, member.config) for member in runs]
        _announce(states, first.hydra.sweep.dir)
        left = [member for member, found in zip(runs, states, strict=True) if found != "done"]
        try:
            _launch(left, [*settings, *search_override(config_dir)], loader)
        except KeyboardInterrupt:
            print("graphcolumns: stopped; the same command continues.", file=sys.stderr)
            return 130
        except BrokenExecutor as error:
            print(f"graphcolumns: {type(error).__name__}: {error}", file=sys.stderr)
    return _conclude(runs, left, Path(first.hydra.sweep.dir))


def _first(overrides: Sequence[str], settings: Sequence[str], config_dir: str | None) -> DictConfig:
    """The whole configuration of the first combination."""
    try:
        return compose([*overrides, *settings], config_dir, whole=True)
    except (ValueError, TypeError) as error:
        error.add_note(f"(in the run {' '.join(overrides)})")
        raise


def _announce(states: Sequence[State], folder: str) -> None:
    done, stopped, new = (states.count(name) for name in ("done", "stopped", "new"))
    print(f"{'sweep':<20}{folder}")
    print(
        f"{len(states)} runs: {done} done before and kept, {stopped} to continue, {new} to start."
    )


def _launch(left: Sequence[Member], settings: Sequence[str], loader: ConfigLoader) -> None:
    """Hand runs to the launcher of hydra: one after the other, or side by side with joblib."""
    if not left:
        return
    jobs = [without_nulls(member.overrides, loader) for member in left]
    config = loader.load_configuration(NAME, [*settings, *jobs[0]], RunMode.MULTIRUN)
    for job, member in zip(jobs, left, strict=True):
        job.append(f"hydra.sweep.subdir={quote(member.subdir)}")
    callbacks = Callbacks(config)
    callbacks.on_multirun_start(config=config, config_name=NAME)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=HydraContext(config_loader=loader, callbacks=callbacks),
        task_function=run_member,
        config=config,
    )
    size = config.hydra.sweeper.max_batch_size or len(jobs)
    for begin in range(0, len(jobs), size):
        launcher.launch(jobs[begin : begin + size], initial_job_idx=begin)
    callbacks.on_multirun_end(config=config, config_name=NAME)


def _conclude(runs: Sequence[Member], left: Sequence[Member], folder: Path) -> int:
    """Say how many are done, and of every other one which, why, and where its log is."""
    failed = [member for member in left if not is_done(member.run)]
    print(
        f"{len(runs)} runs: {len(runs) - len(left)} kept, {len(left) - len(failed)} done now, "
        f"{len(failed)} failed. `graphcolumns collect {os.path.relpath(folder)}` draws them."
    )
    for member in failed:
        log = member.run / ERROR
        print(f"\nfailed: {member}", file=sys.stderr)
        print("\n".join(f"  {line}" for line in reason(member.run).splitlines()), file=sys.stderr)
        print(f"  log: {os.path.relpath(log)}" if log.exists() else "  log: none", file=sys.stderr)
    return 1 if failed else 0
