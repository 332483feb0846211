"""All pairs of two sets."""

from __future__ import annotations

import torch

from graphcolumns.graph import ColumnGraph


def complete_between(num_columns: int, num_sources: int) -> ColumnGraph:
    """Every column receives from every source: the edges of a dense layer, without places.

    Args:
        num_columns: ``N``.
        num_sources: ``M``.

    Returns:
        A bipartite graph of ``N * M`` edges without distances.

    Raises:
        ValueError: Fewer than one column or source.
    """
    if min(num_columns, num_sources) < 1:
        raise ValueError(
            "columns and sources must be 1 or more. Got "
            f"num_columns={num_columns}, num_sources={num_sources}."
        )
    target = torch.arange(num_columns).repeat_interleave(num_sources)
    source = torch.arange(num_sources).repeat(num_columns)
    return ColumnGraph.from_edge_index(
        torch.stack([source, target]), num_columns, num_sources=num_sources
    )
