"""How much code does one step run through? Files, functions and depth of an update and of a step.

    OMP_NUM_THREADS=1 python tests/benchmarks/call_counts.py [--list]

A sheet of 64 columns learns digits and is rewired by `rigl`. Counted are its second update, and a
forward and a backward pass of the model after it: what is built once has been built then.

How it counts: `sys.setprofile` sees every call of a Python function. A function of the library is
one whose code is in a file of `graphcolumns`; it is named by its file and its qualified name, and
counts once however often it is called or a generator is resumed. Comprehensions, generator
expressions and lambdas belong to the function that they are written in. Code that other libraries
generate (the `__init__` of a dataclass) is theirs. The depth is the largest number of functions of
the library that are active at once, the counted one being the first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from unittest.mock import patch

import torch

import graphcolumns
from graphcolumns.cli.check import check_config
from graphcolumns.cli.compose import compose
from graphcolumns.cli.paths import plain
from graphcolumns.cli.prepare import prepare
from graphcolumns.plasticity import Plasticity
from graphcolumns.training.loop import run_steps

ROOT = Path(graphcolumns.__file__).parent
RUN = ("experiment=digits", "geometry=sheet", "plasticity=rigl", "progress=false", "report=false")
EVERY = 5  # steps between updates


class Calls:
    """Functions of the library that ran, by file, and how deep they were nested."""

    def __init__(self) -> None:
        self.functions: dict[str, set[str]] = defaultdict(set)
        self.depth = 0
        self._active = 0
        self._known: dict[CodeType, tuple[str, str] | None] = {}

    def during(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The result of a call that is counted."""
        sys.setprofile(self._event)
        try:
            return call(*args, **options)
        finally:
            sys.setprofile(None)

    def files(self, room: str = "") -> int:
        """How many files were entered, in all or in one room."""
        return sum(file.startswith(room) for file in self.functions)

    def count(self) -> int:
        """How many different functions were entered."""
        return sum(map(len, self.functions.values()))

    def _event(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return") or (name := self._name(frame.f_code)) is None:
            return
        file, function = name
        self.functions[file].add(function)
        # What is written inside a function is no level of its own.
        if not frame.f_code.co_name.startswith("<"):
            self._active += 1 if event == "call" else -1
            self.depth = max(self.depth, self._active)

    def _name(self, code: CodeType) -> tuple[str, str] | None:
        """File and qualified name of a function of the library; None for other code."""
        if code not in self._known:
            file, parts = Path(code.co_filename), code.co_qualname.split(".<locals>.")
            while parts and parts[-1].startswith("<"):
                parts.pop()
            ours = bool(parts) and file.is_relative_to(ROOT)
            self._known[code] = (str(file.relative_to(ROOT)), ".".join(parts)) if ours else None
        return self._known[code]


def count_calls(number: int = 2) -> dict[str, Calls]:
    """Calls during update `number`, and in a forward and backward pass of the model after it."""
    counted = {"update": Calls(), "forward and backward": Calls()}
    update, seen = Plasticity.update, {"updates": 0}

    def traced(self: Plasticity, model: Any, optimizer: Any, step: int, *rest: Any) -> Any:
        seen["updates"] += 1
        if seen["updates"] != number:
            return update(self, model, optimizer, step, *rest)
        result = counted["update"].during(update, self, model, optimizer, step, *rest)
        inputs, labels, losses = rest[:3]
        loss = losses(counted["forward and backward"].during(model, inputs), labels).mean()
        counted["forward and backward"].during(loss.backward)
        model.zero_grad(set_to_none=True)
        return result

    # Twice as long as needed: towards its end the rule changes nothing.
    length = f"steps={2 * number * EVERY}", f"plasticity.every={EVERY}", "plasticity.stop=1.0"
    prepared = prepare(check_config(plain(compose([*RUN, *length, "epochs=null"]))))
    with tempfile.TemporaryDirectory() as run, patch.object(Plasticity, "update", traced):
        run_steps(prepared.training, Path(run))
    return counted


def main() -> None:
    """Print the table and, if asked, every function."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--list", action="store_true", help="list the functions of every file")
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    counted = count_calls()
    print("| | files of plasticity | files | functions | depth |\n|---|---|---|---|---|")
    for name, calls in counted.items():
        inside = calls.files("plasticity/")
        print(f"| {name} | {inside} | {calls.files()} | {calls.count()} | {calls.depth} |")
    for name, calls in counted.items() if asked.list else ():
        print(f"\n{name}")
        for file, functions in sorted(calls.functions.items()):
            print(f"  {file} ({len(functions)}): {', '.join(sorted(functions))}")


if __name__ == "__main__":
    main()
