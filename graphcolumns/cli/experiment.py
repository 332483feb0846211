"""``graphcolumns experiment``."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from tqdm import tqdm

from graphcolumns.analysis import experiment as results
from graphcolumns.analysis.experiment import Experiment, Rows
from graphcolumns.analysis.experiment.plan import (
    FINAL,
    Filter,
    Planned,
    final_runs,
    grid_overrides,
    places,
    tuning_runs,
)
from graphcolumns.analysis.picture import png
from graphcolumns.checkpoint import write_text
from graphcolumns.cli.analyse import check_analyse
from graphcolumns.cli.arguments import experiment as parser
from graphcolumns.cli.check import check_config
from graphcolumns.cli.compose import compose
from graphcolumns.cli.paths import plain
from graphcolumns.cli.script import Script
from graphcolumns.cli.suite import Options, experiments_overview, read, script, separate
from graphcolumns.cli.workers import Job, Workers


def experiment(arguments: list[str]) -> None:
    """Run the arms of an experiment over its seeds and compare them: ``[NAME] [KEY=VALUE ...]``."""
    args = parser().parse_intermixed_args(arguments)
    if args.name is None:
        print(experiments_overview())
        return
    options, extra = separate(Path(args.name).stem, args.overrides)
    command = script(args.name)
    if command is not None:
        _decide(command, args, options.out)
        return
    definition = read(args.name, extra, options.tuning)
    chosen = Filter(args.only, args.variants, args.seeds)
    rows = Rows(options.out / "rows.csv", definition)
    if args.dry_run:
        print(_plan(definition, rows, chosen))
        return
    if args.retry:
        rows.drop_failed()
    _check(definition, chosen)
    try:
        _run(definition, rows, chosen, options)
    except KeyboardInterrupt:
        print("graphcolumns: stopped; the same command continues.", file=sys.stderr)
        sys.exit(130)
    _conclude(definition, rows, options.out)


def _decide(command: Script, args: argparse.Namespace, out: Path) -> None:
    """Run an experiment that is a command; leave with its status if that is not 0."""
    given = [text for text in args.overrides if not text.startswith("out=")]
    given += [f"--{name}" for name in ("only", "variants", "seeds", "retry") if getattr(args, name)]
    if given:
        raise ValueError(
            f"{command.name!r} trains no arms but runs one command; only out=FOLDER and --dry-run "
            f"can be given. Got {shlex.join(given)}."
        )
    if args.dry_run:
        print(shlex.join(command.words(out)))
    elif status := command.run(out):
        sys.exit(status)


def _check(definition: Experiment, chosen: Filter | None) -> None:
    """What analyses a run, and the configuration of every arm and variant, before any runs."""
    check_analyse(definition.analyse)
    runs = final_runs(_untuned(definition), [], chosen)
    for run in {(run.arm, run.variant): run for run in runs}.values():
        try:
            check_config(plain(compose([*run.overrides, *grid_overrides(definition, run.arm)[0]])))
        except Exception as error:
            error.add_note(f"(in arm {run.arm!r}, variant {run.variant!r})")
            raise


def _untuned(definition: Experiment) -> Experiment:
    """The same without tuning: its final runs are known before any trial."""
    return Experiment(**{**vars(definition), "tuning": None})


def _plan(definition: Experiment, rows: Rows, chosen: Filter) -> str:
    tuning = tuning_runs(definition, chosen)
    final = final_runs(_untuned(definition), [], chosen)
    planned = [*tuning, *final]
    there = rows.keys()
    done = sum(run.key in there for run in planned)
    example = shlex.join(["graphcolumns", "train", *(tuning or final)[0].overrides])
    return "\n".join(
        [
            f"{len(planned)} runs: {len(tuning)} to tune, {len(final)} to report; {done} are done.",
            f"{len(places(definition, chosen))} pairs of arm and variant; one run, for example:",
            example,
        ]
    )


def _run(definition: Experiment, rows: Rows, chosen: Filter, options: Options) -> None:
    tuning = tuning_runs(definition, chosen)
    count = len(tuning) + len(final_runs(_untuned(definition), [], chosen))
    with (
        Workers(options.processes) as workers,
        tqdm(total=count, desc=definition.name, unit="run") as bar,
    ):
        _stage(tuning, rows, options, workers, bar)
        _stage(final_runs(definition, rows.all(), chosen), rows, options, workers, bar)


def _stage(
    planned: Sequence[Planned], rows: Rows, options: Options, workers: Workers, bar: Any
) -> None:
    done = rows.keys()
    left = [run for run in planned if run.key not in done]
    bar.update(len(planned) - len(left))
    folder = options.out.absolute() / "runs"
    jobs = [
        Job(
            run.overrides,
            folder / _folder(run),
            options.keep_runs,
            # What a trial is chosen by is its validation score alone.
            rows.experiment.analyse if run.kind == FINAL else (),
        )
        for run in left
    ]
    for place, result in workers.execute(jobs):
        rows.add(left[place], result)
        if result["status"] != "ok":
            run = left[place]
            bar.write(f"failed: {run.arm}, {run.variant}, seed {run.seed}: {result['error']}")
        bar.update()


def _folder(run: Planned) -> str:
    last = f"seed{run.seed}" if run.trial is None else f"trial{run.trial}"
    return "/".join(_plain_name(part) for part in (run.kind, run.arm, run.variant, last))


def _plain_name(text: str) -> str:
    """Letters that every file system and hydra take; different texts stay different."""
    return "".join(c if c.isalnum() or c in "-_." else f"_{ord(c):x}_" for c in text)


def _conclude(definition: Experiment, rows: Rows, out: Path) -> None:
    """Write the page and the figure, and print the page."""
    write_text(
        out / "definition.yaml", yaml.safe_dump(_listed(asdict(definition)), sort_keys=False)
    )
    text = results.page(definition, rows.all())
    write_text(out / "table.md", text)
    new = out / "figure.png.tmp"
    new.write_bytes(png(results.figure(definition, rows.all())))
    new.replace(out / "figure.png")
    print(text)
    for name in ("rows.csv", "table.md", "figure.png"):
        print(os.path.relpath(out / name))


def _listed(value: Any) -> Any:
    """Tuples as lists, for YAML."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple | list) else value
