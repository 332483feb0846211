"""Names of the queries of an encoder: what a query stands for is which vertices read it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from graphcolumns.geometry import Regions
from graphcolumns.geometry.checks import close_names
from graphcolumns.geometry.regions import hemispheres
from graphcolumns.nn.protocols import graphs_of

READOUT = "readout"


def query_names(model: nn.Module, regions: Regions | None = None) -> tuple[str, ...]:
    """What each query of an encoder stands for.

    A query has the name of the region, of the rest or of the hemisphere whose vertices are those
    that read it; ``"vertex 7"`` where vertex 7 alone reads it and is no region; else ``"query 3"``,
    as where edges to vertices were pruned.

    Args:
        model: Encoder whose graph ``"readout"`` leads from ``R`` queries to ``V`` vertices.
        regions: Regions of the vertices, such as ``data.task.regions``.

    Returns:
        A name per query, in the order of the model.

    Raises:
        TypeError: The model has no such graph.
        ValueError: Regions of another number of vertices.
    """
    graph = graphs_of(model).get(READOUT)
    if graph is None:
        raise TypeError(
            f"queries are named by the vertices that read them. Expected a graph {READOUT!r} in "
            f"model.graphs. Got {', '.join(map(repr, graphs_of(model)))}; pass a brain encoder."
        )
    source, target = graph.source.long().cpu(), graph.target.long().cpu()
    order = source.argsort(stable=True)
    counts = source.bincount(minlength=graph.num_sources).tolist()
    readers = target[order].split(counts)
    if regions is None:
        return _names(readers, {})
    # Of the sets of regions that queries may stand for, the one that names most of them.
    found = [_names(readers, _by_members(each)) for each in _sets(regions, graph.num_columns)]
    return max(found, key=lambda names: sum(not name.startswith("query ") for name in names))


def positions_of(queries: Sequence[int | str] | None, names: Sequence[str]) -> list[int]:
    """Positions of queries that were given by position or by name, in the order given.

    Args:
        queries: Positions or names (default: all).
        names: Name of every query.

    Raises:
        ValueError: There is no such query.
    """
    if queries is None:
        return list(range(len(names)))
    found = []
    for query in queries:
        known = query in names if isinstance(query, str) else 0 <= query < len(names)
        if not known:
            some = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
            raise ValueError(
                f"queries must be names or positions below {len(names)}. Expected some of {some}. "
                f"Got {query!r}.{close_names(query, names)}"
            )
        found.append(names.index(query) if isinstance(query, str) else query)
    return found


def _sets(regions: Regions, vertices: int) -> list[Regions]:
    """What queries may stand for: all regions, hemispheres, a family of regions."""
    if regions.num_vertices != vertices:
        raise ValueError(
            f"regions must be of the {vertices:,} vertices of the model. Got regions of "
            f"{regions.num_vertices:,}; take regions.subset(vertices)."
        )
    regions = regions.to("cpu")
    sets = [regions.with_rest()]
    if regions.hemisphere is not None:
        sets.append(hemispheres(regions.hemisphere))
    families = dict.fromkeys(regions.families)
    return sets + [regions.of_families(family).with_rest() for family in families]


def _by_members(regions: Regions) -> dict[bytes, list[str]]:
    """Names by the vertices that they stand for; two regions may have the same vertices."""
    known: dict[bytes, list[str]] = {}
    for name, mask in zip(regions.names, regions.masks, strict=True):
        known.setdefault(_key(mask.nonzero()[:, 0]), []).append(name)
    return known


def _key(vertices: Tensor) -> bytes:
    return vertices.numpy().tobytes()


def _names(readers: Sequence[Tensor], known: dict[bytes, list[str]]) -> tuple[str, ...]:
    return tuple(_name(query, members, known) for query, members in enumerate(readers))


def _name(query: int, members: Tensor, known: dict[bytes, list[str]]) -> str:
    names = known.get(_key(members.sort().values))
    if names:
        return names.pop(0)
    return f"vertex {int(members[0])}" if len(members) == 1 else f"query {query}"
