"""The metrics of a run, one JSON object per step."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from graphcolumns.checkpoint.lines import cut


class Log:
    """Appends to ``metrics.jsonl``, and to TensorBoard if it is wanted.

    Entries hold no wall times, so that two runs of one configuration write the same bytes.

    Args:
        run: Run folder.
        step: Number of steps done; later entries, left by a run that was killed, are cut off.
        tensorboard: Whether to write event files to ``run/tensorboard`` too.

    Raises:
        ValueError: The file that is there is not such a log.
        ImportError: TensorBoard is wanted and not installed.
    """

    def __init__(self, run: Path, step: int = 0, tensorboard: bool = False) -> None:
        path = run / "metrics.jsonl"
        cut(path, step)
        self._writer: Any = _summary_writer(run, step) if tensorboard else None
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def write(self, entry: dict[str, float]) -> None:
        """Add one entry; it must have the key ``step``."""
        self._file.write(json.dumps(entry) + "\n")
        if self._writer is not None:
            for name, value in entry.items():
                self._writer.add_scalar(name, value, entry["step"])

    def sync(self) -> None:
        """Make sure that all entries are on disk: called before each checkpoint."""
        self._file.flush()
        os.fsync(self._file.fileno())


def _summary_writer(run: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard=True needs the package tensorboard: pip install 'graphcolumns[log]'."
        ) from error
    return SummaryWriter(run / "tensorboard", purge_step=step + 1)
