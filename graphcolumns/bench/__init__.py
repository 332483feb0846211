"""The benchmark suite: our ops and layers against what others write, in one process.

Every number is the median of interleaved rounds; a ratio is peer over ours, so more is better. The
limits of the machine are measured in the same run. Shapes and rounds stand in ``suite``; the shapes
were chosen before the kernels were written. It runs without hydra:
``python -m graphcolumns.bench``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphcolumns.bench.suite import CASES, run_suite

__all__ = ["CASES", "run_suite"]


def __getattr__(name: str) -> Any:
    # At their first use: `python -m graphcolumns.bench` sets what OpenMP reads before torch loads.
    if name in __all__:
        from graphcolumns.bench import suite

        return getattr(suite, name)
    raise AttributeError(f"module 'graphcolumns.bench' has no attribute {name!r}.")
