"""The front door of the command line: chooses the command, and turns errors into messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from graphcolumns.cli.collect import collect
from graphcolumns.cli.evaluate import evaluate
from graphcolumns.cli.experiment import experiment
from graphcolumns.cli.help import overview
from graphcolumns.cli.kernels import bench, build_kernels
from graphcolumns.cli.report import report
from graphcolumns.cli.resume import resume
from graphcolumns.cli.train import train
from graphcolumns.train.summary import package_version

COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "train": train,
    "resume": resume,
    "evaluate": evaluate,
    "report": report,
    "collect": collect,
    "experiment": experiment,
    "bench": bench,
    "build-kernels": build_kernels,
}

# What a user can mend. Anything else is a bug in graphcolumns and keeps its traceback.
USER_ERRORS = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    FloatingPointError,
    HydraException,
    OmegaConfBaseException,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `graphcolumns ARGUMENTS`.

    Args:
        arguments: what follows the name of the program (default: from the command line).

    Returns:
        The exit code: 0, or 2 after a mistake of the user, told without a traceback
        (`HYDRA_FULL_ERROR=1` shows it), or 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] == "--version":
        print(package_version("graphcolumns"))
        return 0
    try:
        _command(arguments[0])(arguments[1:])
    except USER_ERRORS as error:
        if os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0"):
            raise
        print(f"graphcolumns: {_message(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("graphcolumns: stopped; `graphcolumns resume RUN` continues.", file=sys.stderr)
        return 130
    return 0


def _command(name: str) -> Callable[[list[str]], None]:
    if name not in COMMANDS:
        # `graphcolumns experiment=digits` is a likely slip.
        near = ["train"] if "=" in name else get_close_matches(name, COMMANDS)
        hint = f" Did you mean `graphcolumns {near[0]}`?" if near else ""
        raise ValueError(
            f"unknown command {name!r}.{hint} Commands: {', '.join(COMMANDS)}; "
            "see `graphcolumns --help`."
        )
    return COMMANDS[name]


def _message(error: BaseException) -> str:
    # An error raised inside a nested `_target_` arrives wrapped by hydra.
    cause = error.__cause__ if isinstance(error, HydraException) and error.__cause__ else error
    return "\n".join([str(cause), *getattr(cause, "__notes__", [])])
