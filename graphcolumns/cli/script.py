"""Experiments that are no trainings of arms: a claim, and a command that decides it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

KEYS = {"claim", "falsified_if", "command"}
ROOT = Path(__file__).parents[2]  # of the repository, where this is not installed


class Script(NamedTuple):
    """A claim, what would falsify it, and the command whose output says which.

    In the command ``python`` is this interpreter and ``{out}`` the folder of the results.
    """

    name: str
    claim: str
    falsified_if: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, name: str, content: Any) -> Script | None:
        """From the content of a definition; None if it defines arms.

        Raises:
            ValueError: A key is missing or unknown, or the command is no list of words.
        """
        if not isinstance(content, dict) or "command" not in content:
            return None
        if set(content) != KEYS:
            raise ValueError(
                f"an experiment with a command has the keys {', '.join(sorted(KEYS))}. Got "
                f"{', '.join(sorted(map(str, content)))} in {name!r}."
            )
        command = content["command"]
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise ValueError(f"command must be a list of words. Got {command!r} in {name!r}.")
        claim, refutation = (" ".join(str(content[k]).split()) for k in ("claim", "falsified_if"))
        return cls(name, claim, refutation, tuple(command))

    def words(self, out: Path) -> list[str]:
        """The command as it is run."""
        words = [word.replace("{out}", str(out.absolute())) for word in self.command]
        return [sys.executable if word == "python" else word for word in words]

    def run(self, out: Path) -> int:
        """Say what is claimed, run the command at the root of the repository, return its status.

        Raises:
            FileNotFoundError: A script that only the repository has.
        """
        missing = [w for w in self.command if w.startswith("tests/") and not (ROOT / w).exists()]
        if missing:
            raise FileNotFoundError(
                f"{self.name!r} runs {missing[0]}, which is not installed with the package: run it "
                "in a clone of the repository."
            )
        print(f"Claim. {self.claim}\n\nIt would be false if. {self.falsified_if}\n")
        out.mkdir(parents=True, exist_ok=True)
        return subprocess.run(self.words(out), cwd=ROOT, check=False).returncode
