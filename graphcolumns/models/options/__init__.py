"""What columnformers are built from, as frozen values that check themselves.

``sheet`` and ``staged`` take each as a value, or as a mapping of its fields:
``weights=WeightOptions(mlp="shared")`` or ``weights={"mlp": "shared"}``.
"""

from graphcolumns.models.options.attention import AttentionOptions
from graphcolumns.models.options.cost import CostOptions
from graphcolumns.models.options.dynamics import DynamicsOptions
from graphcolumns.models.options.interface import InterfaceOptions
from graphcolumns.models.options.weights import WeightOptions

__all__ = [
    "AttentionOptions",
    "CostOptions",
    "DynamicsOptions",
    "InterfaceOptions",
    "WeightOptions",
]
