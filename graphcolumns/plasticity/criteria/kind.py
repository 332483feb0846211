"""Refusing pairs and graphs for which a criterion would give numbers without a meaning."""

from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity.probe.evidence import Evidence


def require_edges(pairs: Evidence, name: str) -> None:
    """Raises ValueError unless these are edges."""
    if not pairs.are_edges:
        raise ValueError(
            f"criteria.{name} says how much edges are worth. Expected the evidence on edges, as "
            f"in Scoring(prune=criteria.{name}). Got candidates; choose a criterion for growing, "
            "such as criteria.insertion_gain."
        )


def require_candidates(pairs: Evidence, name: str, instead: str) -> None:
    """Raises ValueError if these are edges."""
    if pairs.are_edges:
        raise ValueError(
            f"criteria.{name} says how much candidates would be worth. Expected the evidence on "
            f"candidates, as in Scoring(grow=criteria.{name}). Got edges; drop them by "
            f"criteria.{instead}, and with regrow=True grow by criteria.gradient_size."
        )


def require_same_columns(graph: ColumnGraph, name: str) -> None:
    """Raises ValueError unless targets and sources are the same columns."""
    if graph.num_columns != graph.num_sources:
        raise ValueError(
            f"criteria.{name} compares columns with columns. Expected a square graph. Got {graph}; "
            "choose another criterion."
        )
