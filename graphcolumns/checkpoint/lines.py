"""Files of one JSON object per line, which a run that was killed goes on writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def cut(path: Path, step: int) -> None:
    """Keep the entries up to ``step``; a half-written line ends the file too.

    Raises:
        ValueError: The file that is there is not such a file.
    """
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if not line.endswith("\n") or entry(line, path)["step"] > step:
            break
        kept.append(line)
    shorter = path.with_suffix(".tmp")
    shorter.write_text("".join(kept), encoding="utf-8")
    shorter.replace(path)


def entry(line: str, path: Path) -> dict[str, Any]:
    """One line, an object with a whole number ``step``.

    Raises:
        ValueError: It is something else.
    """
    try:
        parsed: dict[str, Any] = json.loads(line)
        if isinstance(parsed["step"], int):
            return parsed
        raise TypeError("step is not a whole number")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged: {line.strip()[:200]!r} is not an entry of a run. Restore the file "
            "from a copy, or remove it to go on without a record of the steps so far."
        ) from error
