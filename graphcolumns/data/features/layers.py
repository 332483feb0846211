"""Names of layers of a module, checked against those that it has."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from torch import nn

SHOWN = 3


def layer_names(module: nn.Module) -> tuple[str, ...]:
    """The names of all layers of a module, in the order of ``named_modules``."""
    return tuple(name for name, _ in module.named_modules() if name)


def check_layers(module: nn.Module, layers: str | Sequence[str]) -> tuple[str, ...]:
    """The names of layers as a tuple, each of which the module has.

    Args:
        module: Module that has the layers.
        layers: Name of a layer such as ``"blocks.11"``, or several names.

    Raises:
        ValueError: No name, a name twice, or one that the module does not have.
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    if not names or len(set(names)) != len(names):
        raise ValueError(
            f"layers must be one name or several different ones. Got {', '.join(names) or 'none'}."
        )
    known = layer_names(module)
    for name in names:
        if name not in known:
            raise ValueError(
                f"layers must name layers of {type(module).__name__}. Expected one of "
                f"{_near(name, known)}. Got {name!r}; layer_names(module) lists all {len(known)}."
            )
    return names


def numbered(layers: int | str | Sequence[int | str], blocks: Sequence[str]) -> tuple[str, ...]:
    """Layers by name, where a whole number counts blocks.

    Args:
        layers: One or several names, or numbers of blocks: 0 is the first, -1 the last.
        blocks: Names of all blocks in order.

    Raises:
        ValueError: A number outside ``[-n, n)`` for ``n`` blocks.
    """
    several = (layers,) if isinstance(layers, int | str) else tuple(layers)
    count = len(blocks)
    for layer in several:
        if isinstance(layer, int) and not -count <= layer < count:
            raise ValueError(
                f"layers must be names, or numbers of blocks in [{-count}, {count}). Got {layer}."
            )
    return tuple(blocks[layer] if isinstance(layer, int) else layer for layer in several)


def _near(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, SHOWN, cutoff=0.5) or list(known[:SHOWN])
    return ", ".join(map(repr, close)) or "none: it has no layers"
