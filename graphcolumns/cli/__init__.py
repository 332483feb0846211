"""The command line ``graphcolumns``, and ``load``, which reads a run folder back."""

from typing import TYPE_CHECKING, Any

from graphcolumns.cli.main import main

if TYPE_CHECKING:
    from graphcolumns.cli.run_folder import load

__all__ = ["load", "main"]


def __getattr__(name: str) -> Any:
    # At its first use: what reads a run imports torch, and `graphcolumns --help` need not wait.
    if name == "load":
        try:
            from graphcolumns.cli.run_folder import load
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in ("hydra", "omegaconf"):
                raise
            raise ImportError(
                f"load needs hydra, which builds a run anew. Got no module {error.name}; call "
                "pip install hydra-core."
            ) from error
        return load
    raise AttributeError(f"module 'graphcolumns.cli' has no attribute {name!r}.")
