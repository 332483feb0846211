"""Overrides that choose from a config group: what may be chosen, said before hydra sees them."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

# Groups that may be left out, `GROUP=null`.
OPTIONAL = ("budget", "plasticity", "experiment")
# A group of which several may be chosen, `GROUP=[A,B]`: each changes what the one before has set.
SEVERAL = ("experiment",)


def without_nulls(overrides: Sequence[str], loader: ConfigLoader) -> list[str]:
    """The same, with ``GROUP=null`` in the words of hydra: ``~GROUP``.

    Raises:
        ValueError: Null for a group that is needed, or anything else that is no choice.
    """
    parser = OverridesParser.create(config_loader=loader)
    return [_translated(text, parser.parse_override(text), loader) for text in overrides]


def _translated(text: str, override: Override, loader: ConfigLoader) -> str:
    group, known = override.key_or_group, loader.get_group_options(override.key_or_group)
    if not known or override.is_sweep_override() or override.is_delete():
        return text
    value = override.value()
    if value is None and group in OPTIONAL:
        return f"~{group}"
    if isinstance(value, list):
        chosen, right = list(map(str, value)), group in SEVERAL
    elif isinstance(value, dict):  # keys of the group, as `optimizer={lr: 0.1}`
        return text
    else:
        chosen, right = [str(value)], isinstance(value, str) and value != ""
    if not right:
        got = "null" if value is None else text.partition("=")[2] or "nothing"
        raise ValueError(
            f"{group} must be one of its choices. Got {got}. {choices_of(group, known)}"
            + (" For several runs: -m " + f"{group}={','.join(chosen)}." if len(chosen) > 1 else "")
        )
    if override.is_add() and group in OPTIONAL:
        raise ValueError(f"{group} is in the configuration already. Write {text.lstrip('+')}.")
    return text


def choices_of(group: str, known: Sequence[str]) -> str:
    """``Choices: a, b.``, with null if the group may be left out."""
    names = [name for name in known if name and ":" not in name]
    return f"Choices: {', '.join([*names, 'null'] if group in OPTIONAL else names)}."


def near(name: str, known: Sequence[str]) -> str:
    """For a misspelt name the question whether a known one was meant, or nothing."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def keys_in(path: str, known: Sequence[str]) -> str:
    """The sentence that lists the keys at a path, which is empty at the top."""
    where = f" in {path}" if path else ""
    return f"Keys{where}: {', '.join(known)}." if known else f"There are no keys{where}."
