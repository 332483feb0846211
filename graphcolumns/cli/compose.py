"""From overrides to one configuration, with errors that name the choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf

from graphcolumns.cli.help import GROUPS

CONFIGS, NAME = "graphcolumns.configs", "train"


def compose(overrides: Sequence[str], config_dir: str | None = None) -> DictConfig:
    """The configuration of `graphcolumns train OVERRIDES`, without hydra's own part.

    Args:
        overrides: `KEY=VALUE`, `GROUP=CHOICE`, as on the command line.
        config_dir: a further folder with config groups of the user.

    Raises:
        ValueError: an unknown key or choice (the message names the known ones), or a value that
            must be given.
    """
    try:
        config = _compose(overrides, config_dir)
    except MissingConfigException as error:
        raise ValueError(_unknown_choice(str(error))) from error
    except ConfigCompositionException as error:
        raise ValueError(_unknown_key(str(error), overrides, config_dir)) from error
    except HydraException as error:
        raise ValueError(f"{error} Write KEY=VALUE, see `graphcolumns --help`.") from error
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ValueError(f"these keys need a value: {', '.join(f'{k}=...' for k in missing)}")
    return config


def variations(overrides: Sequence[str]) -> list[list[str]]:
    """The sweep `a=1,2 b=3,4` with one key varied at a time: `a=1 b=3`, `a=2 b=3`, `a=1 b=4`."""
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


def _compose(overrides: Sequence[str], config_dir: str | None) -> DictConfig:
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ValueError(f"--config-dir must be a folder of config groups. Got {config_dir!r}.")
    search = (
        [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
    )
    with hydra.initialize_config_module(CONFIGS, version_base="1.3"):
        return hydra.compose(NAME, [*overrides, *search])


def _unknown_choice(message: str) -> str:
    """From hydra's "Could not find 'graph/x' ... Available options in 'graph': ..."."""
    found = re.search(r"Could not find '([^']+)/([^/']+)'", message)
    if found is None:
        return message
    group, choice = found[1].lstrip("/"), found[2]
    known = [line.strip() for line in message.partition("Available options")[2].splitlines()[1:]]
    known = [name for name in known if name and ":" not in name]
    return (
        f"unknown choice {choice!r} for {group}.{near(choice, known)} Choices: {', '.join(known)}."
    )


def _unknown_key(message: str, overrides: Sequence[str], config_dir: str | None) -> str:
    """From hydra's "Could not override 'x'"."""
    found = re.search(r"Could not override '([^']+)'", message)
    if found is None:
        return message
    key = found[1]
    chosen = [o for o in overrides if o.partition("=")[0] in GROUPS]
    config: Any = OmegaConf.to_container(_compose(chosen, config_dir), resolve=False)
    # Down the dots as far as they lead: the first name that is not there is the misspelt one.
    names, parents = key.split("."), ""
    while len(names) > 1 and isinstance(config.get(names[0]), dict):
        parents, config = f"{parents}.{names[0]}".lstrip("."), config[names.pop(0)]
    last = names[0]
    known = [k for k in config if not k.startswith("_")]
    where = f" in {parents}" if parents else ""
    more = ""
    if len(names) == 1 and "_target_" in config:
        more = f" Any other argument of {config['_target_']} is added with a plus: +{key}=VALUE."
    return f"unknown key {key!r}.{near(last, known)} Keys{where}: {', '.join(known)}.{more}"


def near(name: str, known: Sequence[str]) -> str:
    """For a misspelt name the question whether a known one was meant, or nothing."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
