"""What identifies a function in the manifest of a cache."""

from __future__ import annotations

from typing import Any

from torch import nn


def describe_function(function: Any) -> Any:
    """What identifies a function: None, its ``described()``, or the ``repr`` of a module.

    Args:
        function: Function of images, or None.

    Raises:
        TypeError: A plain function, whose name and code do not say what it was given.
    """
    if function is None:
        return None
    if hasattr(function, "described"):
        return function.described()
    if isinstance(function, nn.Module):
        return repr(function)
    name = getattr(function, "__qualname__", type(function).__name__)
    raise TypeError(
        "preprocessing must say what it does before features are kept on disk: Preprocessing, an "
        f"nn.Module, or an object with described(). Got {name}; write a class with __call__ and "
        "described()."
    )
