"""Placement of columns: positions that need less wire for the same edges.

Edges stay; two columns swap their positions. Independent of training.
"""

from graphcolumns.placement.place_columns import Placement, place_columns
from graphcolumns.placement.swap import move_columns, swap_change, wire_cost, with_swapped_columns
from graphcolumns.placement.swap_columns import SwapColumns

__all__ = [
    "Placement",
    "SwapColumns",
    "move_columns",
    "place_columns",
    "swap_change",
    "wire_cost",
    "with_swapped_columns",
]
