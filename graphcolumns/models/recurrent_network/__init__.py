"""A recurrent network whose units are columns and whose weights belong to edges."""

from graphcolumns.models.recurrent_network.model import RecurrentNetwork, WeightCostOptions

__all__ = ["RecurrentNetwork", "WeightCostOptions"]
