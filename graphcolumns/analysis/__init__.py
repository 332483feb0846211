"""Looking at a trained sheet: what its columns do, whom they listen to, and a report of both."""

from graphcolumns.analysis.observe import Observation, observe

__all__ = ["Observation", "observe"]
