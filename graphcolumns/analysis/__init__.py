"""Looking at a trained model: what its columns do, whom they listen to, and a report of both."""

from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.observe import observe

__all__ = ["Observation", "Wiring", "observe"]
