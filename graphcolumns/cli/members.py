"""The runs of a sweep: every combination, checked, with its folder, before any of them runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from graphcolumns.cli.check import CheckedConfig, check_config
from graphcolumns.cli.compose import compose, without_hydra
from graphcolumns.cli.folder_name import folder_name
from graphcolumns.cli.paths import plain

NAMED = "${hydra.job.override_dirname}"  # in hydra.sweep.subdir: the name of the folder
LONGEST = 255  # bytes of a name, of most file systems


class Member(NamedTuple):
    """One run of a sweep."""

    overrides: tuple[str, ...]  # without those of hydra
    run: Path
    subdir: str  # of hydra.sweep.dir
    config: CheckedConfig

    def __str__(self) -> str:
        return " ".join(self.overrides) or "no overrides"


def combinations(overrides: Sequence[str], loader: ConfigLoader) -> list[tuple[str, ...]]:
    """All combinations of the values, the last key fastest; of a key that is said twice, the last.

    Raises:
        ValueError: An interval.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(overrides))
    values = {override.get_key_element(): _values(override) for override in parsed}
    return list(product(*values.values()))


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ValueError(
            f"a sweep runs every combination, so it needs a list of values. Got "
            f"{override.input_line}; write KEY=A,B,C, or choose a sweeper that draws from "
            "intervals with hydra/sweeper=..."
        )
    key = override.get_key_element()
    return list(dict.fromkeys(f"{key}={value}" for value in override.sweep_string_iterator()))


def members(
    found: Sequence[tuple[str, ...]],
    settings: Sequence[str],
    config_dir: str | None,
    first: DictConfig,
) -> list[Member]:
    """Compose and check every run.

    Args:
        found: Overrides of each run.
        settings: Overrides of hydra, the same for all runs.
        config_dir: A further folder with config groups of the user.
        first: Whole configuration of the first run, which has the time when the sweep began.

    Raises:
        ValueError, TypeError: A run is faulty; a note names it and counts the others that are. Two
            runs would share a folder, or a name is too long.
    """
    made, faults = list[Member](), list[tuple[str, Exception]]()
    for number, overrides in enumerate(found):
        try:
            whole = compose([*overrides, *settings], config_dir, whole=True)
            made.append(_member(number, overrides, whole, first))
        except (ValueError, TypeError) as error:
            faults.append((" ".join(overrides), error))
    if faults:
        place, fault = faults[0]
        others = f", and in {len(faults) - 1} more of {len(found)}" if len(faults) > 1 else ""
        fault.add_note(f"(in the run {place}{others})")
        raise fault
    _check_folders(made)
    return made


def _member(
    number: int, overrides: tuple[str, ...], whole: DictConfig, first: DictConfig
) -> Member:
    if whole.hydra.sweeper != first.hydra.sweeper:
        raise ValueError(
            "the runs of a sweep must agree on hydra.sweeper. Got experiments that say themselves "
            "what is varied (hydra.sweeper.params); sweep one at a time."
        )
    OmegaConf.copy_cache(first, whole)  # the same time of day for all
    with open_dict(whole):
        whole.hydra.job.num, whole.hydra.job.id = number, str(number)
        unresolved: Any = OmegaConf.to_container(whole.hydra.sweep, resolve=False)
        whole.hydra.sweep.subdir = unresolved["subdir"].replace(NAMED, folder_name(overrides))
    folder, subdir = _resolved(whole)
    config = check_config(plain(without_hydra(whole), Path.cwd()))
    return Member(overrides, Path(folder) / subdir, subdir, config)


def _resolved(whole: DictConfig) -> tuple[str, str]:
    """``hydra.sweep.dir`` and ``subdir``; ``${hydra:...}`` in them reads a global configuration."""
    known = HydraConfig.instance()
    before = known.cfg
    known.set_config(whole)
    try:
        return str(whole.hydra.sweep.dir), str(whole.hydra.sweep.subdir)
    finally:
        known.cfg = before


def _check_folders(made: Sequence[Member]) -> None:
    owners: dict[Path, Member] = {}
    for member in made:
        other = owners.setdefault(member.run.absolute(), member)
        if other is not member:
            raise ValueError(
                f"every run of a sweep needs a folder of its own. Got {member.run} for "
                f"{other} and for {member}; leave hydra.sweep.subdir as it is, or name in it "
                "everything that is varied."
            )
        long = [part for part in member.run.parts if len(part.encode()) > LONGEST]
        if long:
            raise ValueError(
                f"a name in a path may have {LONGEST} bytes. Got {len(long[0].encode())} in "
                f"{member.run}; choose another hydra.sweep.dir or hydra.sweep.subdir."
            )


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[str]:
    """What two configurations say differently: ``degree is 4 there and 9 here``."""
    said = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key, "absent"), new.get(key, "absent")
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            said += differences(a, b, f"{path}{key}.")
        elif a != b:
            said.append(f"{path}{key} is {a} there and {b} here")
    return said
