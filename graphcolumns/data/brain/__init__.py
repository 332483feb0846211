"""Data of brain encoders: features of images, responses of a cortex to them, a brain at rest."""

from graphcolumns.data.brain.resting_state import RestingState, regress_out, resting_state
from graphcolumns.data.brain.routed import routed_responses, routing_of
from graphcolumns.data.brain.routing import Routing

__all__ = [
    "RestingState",
    "Routing",
    "regress_out",
    "resting_state",
    "routed_responses",
    "routing_of",
]
