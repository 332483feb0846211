"""Looking at a trained model: what its columns do and attend to, and a report of both."""

from graphcolumns.analysis.observation import Observation, Wiring
from graphcolumns.analysis.observe import observe
from graphcolumns.analysis.sub_networks import SubNetworks, sub_networks

__all__ = ["Observation", "SubNetworks", "Wiring", "observe", "sub_networks"]
