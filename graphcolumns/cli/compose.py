"""From overrides to one configuration, with errors that name the choices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf

from graphcolumns.cli.check import BUILT
from graphcolumns.cli.groups import choices_of, keys_in, near, without_nulls
from graphcolumns.cli.help import GROUPS, choices
from graphcolumns.cli.moved_keys import meant, moved_hint
from graphcolumns.cli.signature import further_arguments

CONFIGS, NAME = "graphcolumns.configs", "train"


def compose(
    overrides: Sequence[str], config_dir: str | None = None, whole: bool = False
) -> DictConfig:
    """The configuration of ``graphcolumns train OVERRIDES``, without hydra's own part.

    Args:
        overrides: Overrides as on the command line: ``KEY=VALUE``, ``GROUP=CHOICE``.
        config_dir: A further folder with config groups of the user.
        whole: Whether hydra's own part is kept.

    Raises:
        ValueError: An unknown key or choice (the message names the known ones), or a value that
            must be given.
    """
    try:
        config = _compose(overrides, config_dir, whole)
    except MissingConfigException as error:
        raise ValueError(_unknown_choice(str(error))) from error
    except ConfigCompositionException as error:
        raise ValueError(_unknown_key(error, overrides, config_dir)) from error
    except HydraException as error:
        raise ValueError(f"{error} Write KEY=VALUE, see `graphcolumns --help`.") from error
    missing = sorted(OmegaConf.missing_keys(without_hydra(config)))
    if missing:
        raise ValueError(f"these keys need a value: {', '.join(f'{k}=...' for k in missing)}")
    return config


def without_hydra(config: DictConfig) -> DictConfig:
    """A configuration without hydra's own part."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def variations(overrides: Sequence[str]) -> list[list[str]]:
    """The runs of a sweep with one key varied at a time.

    Of ``a=1,2 b=3,4`` these are ``a=1 b=3``, ``a=2 b=3`` and ``a=1 b=4``.
    """
    options = [_options(override) for override in overrides]
    first = [values[0] for values in options]
    others = [
        [*first[:place], value, *first[place + 1 :]]
        for place, values in enumerate(options)
        for value in values[1:]
    ]
    return [first, *others]


def _options(override: str) -> list[str]:
    parsed = OverridesParser.create().parse_override(override)
    if not parsed.is_sweep_override():
        return [override]
    key = parsed.get_key_element()
    if parsed.is_discrete_sweep():
        return [f"{key}={value}" for value in parsed.sweep_string_iterator()]
    return [f"{key}={parsed.value().start}"]  # type: ignore[union-attr]  # an interval


def _compose(overrides: Sequence[str], config_dir: str | None, whole: bool = False) -> DictConfig:
    with composing() as loader:
        words = [*without_nulls(overrides, loader), *search_override(config_dir)]
        return hydra.compose(NAME, words, return_hydra_config=whole)


@contextmanager
def composing() -> Iterator[ConfigLoader]:
    """Hydra at work on our configurations until the block ends, also inside another such block."""
    known = GlobalHydra.instance()
    outer = known.hydra
    known.clear()
    try:
        with hydra.initialize_config_module(CONFIGS, "graphcolumns train", version_base="1.3"):
            yield known.config_loader()
    finally:
        known.hydra = outer


def search_override(config_dir: str | None) -> list[str]:
    """The override by which hydra also looks into a folder of the user."""
    if config_dir is None:
        return []
    if not Path(config_dir).is_dir():
        raise ValueError(f"--config-dir must be a folder of config groups. Got {config_dir!r}.")
    return [f"hydra.searchpath=[{quote(f'file://{Path(config_dir).absolute()}')}]"]


def for_hydra(overrides: Sequence[str], multirun: bool) -> list[str]:
    """The same in hydra's own words.

    A sweeper of hydra first composes without what is varied: there a key of a group that is varied
    may be unknown, so it is added by force (``++``). Whether it exists is known from ``compose``.
    """
    with composing() as loader:
        words = without_nulls(overrides, loader)
    if not multirun:
        return words
    parsed = OverridesParser.create().parse_overrides(words)
    varied = [f"{override.key_or_group}." for override in parsed if override.is_sweep_override()]
    return [f"++{word}" if word.startswith(tuple(varied)) else word for word in words]


def quote(text: str) -> str:
    """A text as the value of an override, whatever its characters."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)$", r"\1\1", escaped) + "'"


def _unknown_choice(message: str) -> str:
    """From hydra's "Could not find 'graph/x' ... Available options in 'graph': ..."."""
    found = re.search(r"Could not find '([^']+)/([^/']*)'", message)
    if found is None:
        return message
    group, choice = found[1].lstrip("/"), found[2]
    known = [line.strip() for line in message.partition("Available options")[2].splitlines()[1:]]
    known = [name for name in known if name and ":" not in name and " " not in name]
    return f"unknown choice {choice!r} for {group}.{near(choice, known)} {choices_of(group, known)}"


def _unknown_key(error: Exception, overrides: Sequence[str], config_dir: str | None) -> str:
    """From hydra's "Could not override 'x'"."""
    found = re.search(r"Could not override '([^']+)'", str(error))
    if found is None:
        return "\n".join(map(str, [error, *([error.__cause__] if error.__cause__ else [])]))
    key = found[1]
    chosen = [o for o in overrides if o.partition("=")[0] in GROUPS]
    config: Any = OmegaConf.to_container(_compose(chosen, config_dir), resolve=False)
    whole = config
    # Down the dots as far as they lead: the first name that is not there is the misspelt one.
    names, parents = key.split("."), ""
    while len(names) > 1 and isinstance(config.get(names[0]), dict):
        parents, config = f"{parents}.{names[0]}".lstrip("."), config[names.pop(0)]
    last = names[0]
    if len(names) > 1 and not parents and last in GROUPS and config.get(last) is None:
        return (
            f"unknown key {key!r}: {last} is null. Choose one first, {last}=CHOICE. "
            f"{choices_of(last, choices(last))}"
        )
    known = [k for k in config if not k.startswith("_")]
    more = ""
    if len(names) == 1 and "_target_" in config and not moved_hint(key):
        more = _further(key, config["_target_"], known)
    path = f"{parents}.{last}".lstrip(".")
    # In no group: steps, epochs, seed and others that users look for in one.
    top = f" Did you mean {last!r}, without a group?" if parents and last in whole else ""
    return f"unknown key {key!r}.{top or meant(path, known)} {keys_in(parents, known)}{more}"


def _further(key: str, target: str, known: Sequence[str]) -> str:
    """What is said of arguments of a function that are no keys yet."""
    part, _, name = key.rpartition(".")
    later = BUILT.get(part.partition(".")[0], ())
    others = further_arguments(target, (*known, *later))
    if others is None:
        return f" Any other argument of {target} is added with a plus: +{key}=VALUE."
    if name in others:
        return f" {name} is an argument of {target}, added with a plus: +{key}=VALUE."
    if not others:
        return f" {target} takes nothing else; choose another, {part}=CHOICE."
    return f" With a plus, as in +{part}.{others[0]}=VALUE, {target} takes {', '.join(others)}."
