"""Whether the report of a run can be made, before the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphcolumns.analysis.report import check_report
from graphcolumns.cli.build import Parts, build
from graphcolumns.cli.report import in_memory


def build_run(config: Mapping[str, Any]) -> Parts:
    """Build what a configuration names, and print what its report will leave out, if it has one.

    Raises:
        ValueError, TypeError, FileNotFoundError: Whatever is wrong with the configuration, or the
            model cannot be observed; with ``report=false`` it trains all the same.
    """
    parts = build(config)
    if not config["report"]:
        return parts
    try:
        few = in_memory(parts.data, 1)
        missing = check_report(parts.model, few, parts.geometry, parts.permutation)
    except (TypeError, ValueError) as error:
        error.add_note("(while trying the report; with report=false there is none)")
        raise
    for reason in missing:
        print(f"{'report':<20}{reason}")
    return parts
