"""Looking at a trained model: what its columns do and attend to, and a report of both."""

from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.observe import observe

__all__ = ["Observation", "Wiring", "observe"]
