"""``graphcolumns train``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from graphcolumns import checkpoint
from graphcolumns.cli.arguments import train as parser
from graphcolumns.cli.check import check_config
from graphcolumns.cli.compose import CONFIGS, NAME, compose, for_hydra, variations
from graphcolumns.cli.member import run_member
from graphcolumns.cli.paths import plain
from graphcolumns.cli.prepare import Prepared, prepare
from graphcolumns.cli.resume import run_training
from graphcolumns.cli.run_folder import write_config
from graphcolumns.cli.sweep import sweep

FOLDERS = ("run", "hydra.run.dir", "hydra.sweep.dir")


def train(arguments: list[str]) -> int | None:
    """Train from a configuration: ``[-m] [KEY=VALUE ...]``, and hydra's own flags.

    Everything is checked, and for a single run everything is built, before a folder is made.
    """
    args, rest = parser().parse_known_args(arguments)
    rest = [_at_home(argument) for argument in rest]
    overrides = [argument for argument in rest if not argument.startswith("-")]
    shown = overrides != rest or args.cfg is not None  # hydra is args to show, not to run
    prepared = None
    if args.multirun and not shown:
        _check_no_run_folder(overrides)
        status = sweep(overrides, args.config_dir)
        if status is not None:
            return status
        _check_variations(overrides, args.config_dir)
    elif not shown:
        config = check_config(plain(compose(overrides, args.config_dir), Path.cwd()))
        checkpoint.check_free(Path(config["run"]))
        prepared = prepare(config)
    # Flags first: hydra's parser takes `a=1 -m b=2,3` for a mistake.
    flags = ["--multirun"] * args.multirun
    flags += [] if args.config_dir is None else ["--config-dir", args.config_dir]
    flags += [] if args.cfg is None else ["--cfg", args.cfg]
    if overrides == rest:
        rest = for_hydra(overrides, args.multirun)
    _hand_to_hydra([*flags, *rest], prepared, args.multirun)
    return None


def _at_home(argument: str) -> str:
    """``run=~/x`` with the home folder: shells expand a ``~`` only where a word begins."""
    key, _, folder = argument.partition("=")
    if key in FOLDERS and folder.startswith("~"):
        return f"{key}={Path(folder).expanduser()}"
    return argument


def _check_no_run_folder(overrides: list[str]) -> None:
    if any(override.startswith("run=") for override in overrides):
        raise ValueError(
            "a sweep writes one run folder per combination: instead of run=..., say "
            "hydra.sweep.dir=FOLDER."
        )


def _check_variations(overrides: list[str], config_dir: str | None) -> None:
    """What a sweeper of the user may try: one key at a time, because only it knows the rest."""
    for combination in variations(overrides):
        check_config(plain(compose(combination, config_dir)))


def _hand_to_hydra(arguments: list[str], prepared: Prepared | None, multirun: bool) -> None:
    """Let hydra make the folder and call the job, once or as often as its sweeper says."""

    @hydra.main(version_base="1.3", config_path=f"pkg://{CONFIGS}", config_name=NAME)
    def job(config: DictConfig) -> float | None:
        if multirun:
            # A sweeper of the user chose the values, so they have not been checked.
            check_config(plain(config, Path(HydraConfig.get().runtime.cwd)))
            return run_member(config)
        run = Path(HydraConfig.get().runtime.output_dir)
        checkpoint.check_free(run)
        try:
            values = plain(config, Path(HydraConfig.get().runtime.cwd))
            ready = prepare(check_config(values)) if prepared is None else prepared
            write_config(run, values)
            return run_training(ready, run, values["report"])
        finally:
            checkpoint.forget_start(run)

    with _called_with(arguments):
        job()


@contextmanager
def _called_with(arguments: list[str]) -> Iterator[None]:
    """Give hydra its command line, and make it pass errors on to us."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["graphcolumns train", *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or hydra prints a traceback and exits by itself
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.pop("HYDRA_FULL_ERROR")
        if full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = full_error
