"""What a brain encoder is built for: how many tokens, which queries, which edges."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from graphcolumns.connect import complete_between
from graphcolumns.geometry import Regions, hemispheres
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.position import TokenPosition
from graphcolumns.models.brain_encoder.query_edges import one_per_vertex, region_edges
from graphcolumns.nn.checks import check_counts

# A list of so many pairs takes seconds to sort and hundreds of megabytes to keep.
MANY_EDGES = 5_000_000

Queries = str | Sequence[str] | ColumnGraph
Edges = str | int | ColumnGraph


def token_shape(tokens: tuple[int, int] | None, spec: Any, features: str) -> tuple[int, int]:
    """Number of tokens ``M`` and their width ``F``, as given or as a data set has them.

    Raises:
        ValueError: Neither says it.
    """
    if tokens is not None:
        count, width = tokens
        check_counts(tokens=count, width=width)
        return int(count), int(width)
    parts = () if spec is None else spec.inputs
    found = [tuple(part.shape) for part in parts if len(parts) == 1 or part.name == features]
    if len(found) != 1 or len(found[0]) != 2:
        got = ", ".join(f"{part.name} {list(part.shape)}" for part in parts) or "no data set"
        raise ValueError(
            f"an encoder needs the number and the width of tokens. Expected tokens=(M, F), or an "
            f"input {features!r} of shape [n, M, F]. Got {got} per sample; take features of images "
            "as inputs (data.features=...), or pass backbone=... and the size of its tokens."
        )
    return found[0][0], found[0][1]


def token_grid(grid: tuple[int, int] | None, tokens: int) -> tuple[int, int] | None:
    """Rows and columns of tokens: as given, or of a square, with or without a class token."""
    if grid is not None:
        return int(grid[0]), int(grid[1])
    for count in (tokens, tokens - 1):
        side = math.isqrt(max(count, 0))
        if side and side**2 == count:
            return side, side
    return None


def edges_to_read(queries: Queries, regions: Regions | None, vertices: int) -> ColumnGraph:
    """Which vertices read which queries.

    Args:
        queries: ``"regions"``, ``"hemispheres"``, ``"vertices"``, names of families of regions, or
            the edges themselves.
        regions: Regions of the vertices.
        vertices: Number of vertices ``V``.

    Raises:
        ValueError: Regions that are not there or of another number of vertices, an unknown name, or
            edges to another number of vertices.
    """
    graph = _edges_to_read(queries, regions, vertices)
    if graph.num_columns != vertices:
        raise ValueError(
            f"queries must be read by all vertices. Expected {vertices:,}. Got "
            f"{graph.num_columns:,}; are the regions of another mesh or subject?"
        )
    return graph


def token_edges(edges: Edges, queries: int, tokens: int) -> ColumnGraph | int:
    """Edges from tokens to queries, or the number of queries where all attend to all.

    Args:
        edges: ``"all"``, ``"unlisted"`` (all, without a list that could be changed), a number of
            random tokens per query, drawn with torch's generator, or the edges themselves.
        queries: Number of queries.
        tokens: Number of tokens.

    Raises:
        ValueError: An unknown name, more tokens than there are, or edges of other sizes.

    Warns:
        UserWarning: A list of all pairs that is long.
    """
    if isinstance(edges, ColumnGraph):
        if (edges.num_columns, edges.num_sources) != (queries, tokens):
            raise ValueError(
                f"edges must lead from {tokens} tokens to {queries} queries. Got {edges}."
            )
        return edges
    if edges == "unlisted":
        return queries
    if edges == "all":
        if queries * tokens > MANY_EDGES:
            warnings.warn(
                f"edges='all' lists {queries * tokens:,} pairs of {queries:,} queries and {tokens} "
                "tokens. edges='unlisted' needs no list and chunk=2048 bounds memory; a number of "
                "tokens per query, or a graph, takes fewer edges.",
                stacklevel=3,
            )
        return complete_between(queries, tokens)
    if isinstance(edges, bool) or not isinstance(edges, int) or not 1 <= edges <= tokens:
        raise ValueError(
            "edges must be 'all', 'unlisted', a ColumnGraph, or a number of tokens per query in "
            f"[1, {tokens}]. Got {edges!r}."
        )
    source = torch.rand(queries, tokens).topk(edges).indices.flatten()
    target = torch.arange(queries).repeat_interleave(edges)
    return ColumnGraph.from_edge_index(torch.stack([source, target]), queries, tokens)


def position_code(
    code: str, tokens: int, channels: int, grid: tuple[int, int] | None
) -> TokenPosition | None:
    """The code of the places of tokens, or None."""
    if code == "none":
        return None
    return TokenPosition(code, tokens, channels, token_grid(grid, tokens))  # type: ignore[arg-type]


def projection(width: int, channels: int | None) -> nn.Module | None:
    """A map from the width of tokens to that of queries, where they differ."""
    return None if channels in (None, width) else nn.Linear(width, int(channels or width))


def _edges_to_read(queries: Queries, regions: Regions | None, vertices: int) -> ColumnGraph:
    if isinstance(queries, ColumnGraph):
        return queries
    if queries == "vertices":
        return one_per_vertex(vertices)
    if regions is None:
        raise ValueError(
            f"queries={queries!r} needs the regions of the vertices. Got none; pass regions=..., "
            "a data set whose task has regions, or queries='vertices'."
        )
    if queries == "regions":
        return region_edges(regions.with_rest())
    if queries == "hemispheres":
        if regions.hemisphere is None:
            raise ValueError(
                "queries='hemispheres' needs the hemisphere of every vertex. Got regions without; "
                "pass Regions(..., hemisphere=...)."
            )
        return region_edges(hemispheres(regions.hemisphere))
    names = [queries] if isinstance(queries, str) else list(queries or ())
    if not names or not set(names) <= set(regions.families):
        known = ", ".join(map(repr, dict.fromkeys(regions.families)))
        raise ValueError(
            "queries must be 'regions', 'hemispheres', 'vertices', a ColumnGraph, or families of "
            f"the regions: {known}. Got {queries!r}."
        )
    return region_edges(regions.of_families(*names).with_rest())
