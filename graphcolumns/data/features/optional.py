"""Packages of the extra ``backbones``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

EXTRA = "pip install 'graphcolumns[backbones]'"


def require(package: str, what: str) -> Any:
    """A package of the extra ``backbones``.

    Args:
        package: Name of the package.
        what: Beginning of a sentence that the name of the package ends.

    Raises:
        ImportError: It is not installed, or does not fit the torch that is.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(f"{what} {package}, which is not installed: {EXTRA}.") from error
    except RuntimeError as error:
        # Its compiled operators are not there: torchvision of one torch beside another torch.
        raise ImportError(
            f"{what} {package}, which does not fit this torch ({error}). Expected both of one "
            "source and of versions that belong together; install them anew with one command."
        ) from error
