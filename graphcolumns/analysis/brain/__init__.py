"""Brains: connectivity of measured responses."""

from graphcolumns.analysis.brain.connectivity import (
    ConnectivityProfile,
    connectivity_profile,
    functional_connectivity,
)

__all__ = ["ConnectivityProfile", "connectivity_profile", "functional_connectivity"]
