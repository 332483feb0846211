"""Data of brain encoders: features of images, and responses of a cortex to them."""

from graphcolumns.data.brain.routed import routed_responses, routing_of
from graphcolumns.data.brain.routing import Routing

__all__ = ["Routing", "routed_responses", "routing_of"]
