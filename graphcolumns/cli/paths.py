"""Relative paths of a configuration, resolved where a run starts."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from omegaconf import DictConfig, OmegaConf

from graphcolumns.cli.targets import function_of

# Arguments that name a file or folder although their function says no more than `str`.
NAMES = ("path", "paths", "file", "folder", "directory", "dirname", "filename", "root")


def plain(config: DictConfig, base: Path | None = None) -> dict[str, Any]:
    """A configuration as resolved plain values; with ``base``, relative paths start there."""
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return values if base is None else with_absolute_paths(values, base)


def absolute_paths(node: Any, base: Path) -> Any:
    """The same configuration with the paths in it absolute, and ``~`` as the home folder.

    A path is an argument that its function annotates as one (``str | Path``, ``os.PathLike``) or
    names as one (``path``, ``..._file``), or a relative path that leads to something that is there.
    So a run reads the same files wherever it is resumed, and wherever hydra runs it.

    Args:
        node: Part of a configuration.
        base: Folder that relative paths start from.
    """
    if isinstance(node, list):
        return [_resolved("", value, False, base) for value in node]
    if not isinstance(node, Mapping):
        return node
    paths = _path_arguments(node["_target_"]) if "_target_" in node else set()
    return {key: _resolved(key, value, key in paths, base) for key, value in node.items()}


def with_absolute_paths(config: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """A whole configuration with its paths absolute; where it writes is not one of them."""
    return {
        key: absolute_paths(value, base) if isinstance(value, Mapping) else value
        for key, value in config.items()
    }


def _resolved(key: str, value: Any, is_path: bool, base: Path) -> Any:
    if isinstance(value, list) and (is_path or key in NAMES):
        return [_resolved(key, each, is_path, base) for each in value]
    if not isinstance(value, str):
        return absolute_paths(value, base)
    if key.startswith("_") or not (is_path or _named_as_path(key) or _leads_to_file(value, base)):
        return value
    return os.path.normpath(base / Path(value).expanduser())


def _path_arguments(target: Any) -> set[str]:
    """The arguments of a function that are annotated as paths."""
    try:
        function = function_of(target)
        hints = get_type_hints(function if inspect.isfunction(function) else function.__init__)
    except Exception:
        # `check` has an error for a function that does not exist.
        return set()
    return {name for name, hint in hints.items() if _is_path(hint)}


def _is_path(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, os.PathLike):
        return True
    origin = getattr(hint, "__origin__", None)
    return origin is os.PathLike or any(_is_path(arg) for arg in get_args(hint))


def _named_as_path(key: str) -> bool:
    return key in NAMES or key.endswith(("_path", "_file", "_folder", "_dir", "_root"))


def _leads_to_file(value: str, base: Path) -> bool:
    """Whether a text that looks like a relative path is one: it has a folder or a suffix."""
    if value.startswith("~"):
        return True
    looks = os.sep in value or bool(Path(value).suffix)
    return looks and len(value) < 1024 and (base / value).exists()
