"""Runs on fsaverage of earlier versions, which took other vertices for the medial wall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from graphcolumns import checkpoint

FSAVERAGE = "geometries.cortex.fsaverage"
# Columns without the wall by level (left, right): of earlier versions, and of today.
FORMER = {2: (151, 153), 3: (597, 601), 4: (2361, 2385), 5: (9465, 9537)}
TODAY = {2: (149, 148), 3: (588, 587), 4: (2341, 2346), 5: (9354, 9361)}
ON_FLAT = {2: (147, 148), 3: (580, 585), 4: (2294, 2317), 5: (9201, 9247)}
LEVEL = 3  # that of a configuration which names none


def with_former_wall(config: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """The configuration of a run, with the medial wall that its checkpoint was made with.

    Earlier versions wrote ``medial_wall: false`` for the vertices that no triangle of the flat map
    uses, and today's ``"flat map"`` means these. Which of the two a run was made with is seen from
    the number of its columns.

    Args:
        config: Configuration of plain dictionaries, lists and values.
        run: Run folder; without a checkpoint the configuration stays as it is.
    """
    geometry = config.get("geometry")
    cut = [node for node in _cortices(geometry) if not node.get("medial_wall")]
    if not cut or not checkpoint.has_checkpoint(run):
        return dict(config)
    graphs = checkpoint.read_topology(run).graphs.values()
    found = {count for graph in graphs for count in (graph.num_columns, graph.num_sources)}
    former = any(_count(FORMER, node) in found and _today(node) not in found for node in cut)
    return dict(config) | ({"geometry": _changed(geometry)} if former else {})


def _cortices(node: Any) -> Iterator[Mapping[str, Any]]:
    """Calls of ``fsaverage`` in a configuration of a geometry, which may be made from another."""
    if isinstance(node, Mapping):
        if node.get("_target_") == FSAVERAGE:
            yield node
        for value in node.values():
            yield from _cortices(value)


def _changed(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    changed = {key: _changed(value) for key, value in node.items()}
    ours = node.get("_target_") == FSAVERAGE and not node.get("medial_wall")
    return changed | ({"medial_wall": "flat map"} if ours else {})


def _today(node: Mapping[str, Any]) -> int:
    return _count(ON_FLAT if node.get("surface") == "flat" else TODAY, node)


def _count(table: Mapping[int, tuple[int, int]], node: Mapping[str, Any]) -> int:
    """Columns of a call, -1 of one that no version takes."""
    left, right = table.get(node.get("level", LEVEL), (-1, 0))
    return {"left": left, "right": right}.get(node.get("hemisphere", "both"), left + right)
