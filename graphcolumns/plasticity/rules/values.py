"""The three values of a rule, by the fields that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from graphcolumns.plasticity.rules.acceptance import Acceptance
from graphcolumns.plasticity.rules.newborns import Newborns
from graphcolumns.plasticity.rules.scoring import Scoring

VALUES: Mapping[str, type] = {"scoring": Scoring, "acceptance": Acceptance, "newborns": Newborns}


def names_of(kind: type) -> list[str]:
    """The names of the fields of a dataclass."""
    return [entry.name for entry in fields(kind)]
