"""The arguments of each command. Nothing heavy is imported here, so ``--help`` is quick."""

from __future__ import annotations

import argparse
from pathlib import Path


def train() -> argparse.ArgumentParser:
    """Of ``graphcolumns train``; what is left over is for hydra."""
    parser = argparse.ArgumentParser(
        "graphcolumns train",
        usage="graphcolumns train [-m] [--config-dir FOLDER] [--cfg job] [KEY=VALUE ...]",
        description="Train from a configuration, and write a run folder.",
        epilog="Other flags are hydra's: `graphcolumns train --hydra-help`.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--multirun", "-m", action="store_true", help="a sweep: all combinations of KEY=A,B,C"
    )
    parser.add_argument(
        "--config-dir", "-cd", metavar="FOLDER", help="a folder with config groups of your own"
    )
    # For the help only: hydra reads it.
    parser.add_argument("--cfg", metavar="job", help="show the configuration, and train nothing")
    return parser


def resume() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns resume``."""
    parser = _of_a_run("resume", "Continue a run that was stopped, from its last checkpoint.")
    parser.add_argument(
        "overrides",
        nargs="*",
        # With a default argparse does not say that changes are required.
        default=[],
        metavar="KEY=VALUE",
        help="what is to change from here on, such as steps=2000 optimizer.lr=1e-4; recorded in "
        "RUN/changes.jsonl",
    )
    return parser


def evaluate() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns evaluate``."""
    parser = _of_a_run(
        "evaluate", "Score a run on its held-out half, the test half or its validation fold."
    )
    parser.add_argument(
        "--which",
        choices=("last", "best"),
        default="last",
        help="the last checkpoint, or the one with the best validation score",
    )
    return parser


def report() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns report``."""
    return _of_a_run("report", "Write report.html into a run folder, from its last checkpoint.")


def collect() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns collect``."""
    parser = argparse.ArgumentParser(
        "graphcolumns collect",
        description="Write the finished runs below FOLDER as FOLDER/sweep.csv and sweep.png.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the sweep wrote its runs"
    )
    parser.add_argument("--x", metavar="KEY", help="what was varied, along the axis")
    parser.add_argument("--y", metavar="NAME", help="a result of summary.json")
    parser.add_argument("--panel", metavar="KEY", help="what was varied, one panel per value")
    return parser


def connectome() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns connectome``."""
    parser = argparse.ArgumentParser(
        "graphcolumns connectome",
        description="Measure a connectome beside its nulls: print the table, and write it with "
        "figures into a new folder.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH|RUN|NAME",
        help="a matrix (.npy, .csv), a list of edges (.csv, .tsv) or GraphML; a run folder; "
        "celegans, mushroom_body or human_tracts of an installed package. Several are also drawn "
        "side by side; LABEL=PATH gives one a label",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the folder, which is new")
    parser.add_argument(
        "--densities",
        type=_shares,
        default=(0.05, 0.1, 0.2),
        metavar="P,...",
        help="shares of the pairs that are kept, the strongest (0.05,0.1,0.2)",
    )
    parser.add_argument(
        "--nulls", type=int, default=20, metavar="N", help="graphs per null, 0 for none (20)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all draws (0)")
    parser.add_argument("--graph", metavar="NAME", help="a graph of the model of a run (the first)")
    parser.add_argument(
        "--rows", choices=("targets", "sources"), help="what the rows of a matrix are"
    )
    parser.add_argument("--undirected", action="store_true", help="edges are in both directions")
    parser.add_argument("--weight", metavar="NAME", help="column or attribute with weights")
    parser.add_argument("--positions", type=Path, metavar="FILE", help="a table with x, y, z")
    parser.add_argument("--unit", choices=("mm", "rad", "pixel"), default="mm", help="of positions")
    parser.add_argument("--absolute", action="store_true", help="measure absolute weights")
    return parser


def experiment() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns experiment``."""
    parser = argparse.ArgumentParser(
        "graphcolumns experiment",
        description="Run the arms of an experiment over its seeds, and compare them.",
        epilog="KEY=VALUE: processes=2, out=FOLDER, keep_runs=true, tuning=null (arms as they "
        "are), or an override of `graphcolumns train` for every run.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of the list, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--only", type=_names, metavar="ARM,...", help="these arms")
    parser.add_argument("--variants", type=_names, metavar="NAME,...", help="these variants")
    parser.add_argument("--seeds", type=_numbers, metavar="0,1,...", help="these seeds")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    return parser


def bench() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns bench``."""
    from graphcolumns.bench.command import parser

    return parser()


def build_kernels() -> argparse.ArgumentParser:
    """Arguments of ``graphcolumns build-kernels``."""
    return argparse.ArgumentParser(
        "graphcolumns build-kernels",
        description="Compile the C++ kernels for this machine, and say where they are.",
    )


def _of_a_run(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"graphcolumns {command}", description=description)
    parser.add_argument("run", type=Path, metavar="RUN", help="the run folder")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _shares(text: str) -> tuple[float, ...]:
    return tuple(float(share) for share in text.split(","))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]
