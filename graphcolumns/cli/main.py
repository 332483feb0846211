"""The front door of the command line: chooses the command, and turns errors into messages."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from graphcolumns.cli import arguments as parsers
from graphcolumns.cli.help import keys, overview

# A status other than None or 0 is the exit code.
Command = Callable[[list[str]], int | None]


def _command(module: str, name: str) -> Command:
    """A command whose module is imported when it is called: help and slips need no torch."""

    def command(arguments: list[str]) -> int | None:
        _import_from_here()
        function: Command = getattr(import_module(f"graphcolumns.cli.{module}"), name)
        return function(arguments)

    return command


COMMANDS: dict[str, Command] = {
    "train": _command("train", "train"),
    "resume": _command("resume", "resume"),
    "evaluate": _command("evaluate", "evaluate"),
    "report": _command("report", "report"),
    "collect": _command("collect", "collect"),
    "connectome": _command("connectome", "connectome"),
    "experiment": _command("experiment", "experiment"),
    "bench": _command("kernels", "bench"),
    "build-kernels": _command("kernels", "build_kernels"),
}

# What a user can mend, and all errors of hydra and omegaconf. Anything else is a bug in
# graphcolumns and keeps its traceback.
USER_ERRORS = (ValueError, TypeError, OSError, ImportError, FloatingPointError)
HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``graphcolumns ARGUMENTS``.

    Args:
        arguments: Words after the name of the program (default: those of the command line).

    Returns:
        The exit code: 0, or 1 if runs of a sweep failed, or 2 after a mistake of the user, shown
        without a traceback (``HYDRA_FULL_ERROR=1`` shows it), or 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # OpenMP threads that spin while they wait make a step ten times slower on a busy machine. Read
    # once, when torch is loaded; the processes that a command starts inherit it.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        return _run(arguments)
    except BrokenPipeError:  # `graphcolumns --help | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        full = os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")
        if full or not (isinstance(error, USER_ERRORS) or _is_of_hydra(error)):
            raise
        print(f"graphcolumns: {_message(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("graphcolumns: stopped; `graphcolumns resume RUN` continues.", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    """Answer, or run the command; the exit code."""
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in HELP:
        print(overview(), flush=True)
        return 0
    if arguments[0] == "--version":
        print(_version(), flush=True)
        return 0
    command = _find(arguments[0])
    if any(argument in HELP for argument in arguments[1:]):
        print(_help(arguments[0]), flush=True)
        return 0
    return command(arguments[1:]) or 0


def _find(name: str) -> Command:
    if name not in COMMANDS:
        # `graphcolumns experiment=digits` is a likely slip.
        near = ["train"] if "=" in name else get_close_matches(name, COMMANDS)
        hint = f" Did you mean `graphcolumns {near[0]}`?" if near else ""
        raise ValueError(
            f"unknown command {name!r}.{hint} Commands: {', '.join(COMMANDS)}; "
            "see `graphcolumns --help`."
        )
    return COMMANDS[name]


def _help(name: str) -> str:
    text: str = getattr(parsers, name.replace("-", "_"))().format_help()
    return f"{text}\n{keys()}" if name == "train" else text


def _version() -> str:
    try:
        return version("graphcolumns")
    except PackageNotFoundError:
        return "unknown"


def _import_from_here() -> None:
    """Let ``_target_`` name modules of the current folder; what is installed comes first.

    An installed command, unlike ``python -m``, has the folder of the program on its path instead.
    """
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())


def _is_of_hydra(error: BaseException) -> bool:
    """By the name of its module: hydra itself is loaded only by the commands that need it."""
    modules = [base.__module__.partition(".")[0] for base in type(error).__mro__]
    return "hydra" in modules or "omegaconf" in modules


def _message(error: BaseException) -> str:
    # An error raised inside a nested `_target_` arrives wrapped by hydra.
    cause = error.__cause__ if _is_of_hydra(error) and error.__cause__ else error
    return "\n".join([str(cause), *getattr(cause, "__notes__", [])])
