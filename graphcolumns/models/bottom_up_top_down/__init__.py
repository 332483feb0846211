"""Networks whose top-down stream selects which part of them answers, and teaches it.

The three passes stand in ``model``; what such a network consists of is in
``graphcolumns.nn.top_down``, and its learning rule is ``graphcolumns.learning.counter_hebb``.
"""

from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown

__all__ = ["BottomUpTopDown"]
