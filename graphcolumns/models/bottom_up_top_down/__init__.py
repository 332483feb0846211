"""Networks whose top-down stream selects which part of them answers, and teaches it.

The three passes stand in ``model``; what such a network consists of is in
``graphcolumns.nn.top_down``, and its learning rule is ``graphcolumns.learning.counter_hebb``.
"""

from graphcolumns.models.bottom_up_top_down.instructed import Instruction, instructed
from graphcolumns.models.bottom_up_top_down.layered import layered_top_down
from graphcolumns.models.bottom_up_top_down.memory import TaskMemory, task_memory
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.residual import residual_top_down
from graphcolumns.models.bottom_up_top_down.sheet import top_down_sheet
from graphcolumns.models.bottom_up_top_down.simple import simple_net
from graphcolumns.models.bottom_up_top_down.trunk import Trunk

__all__ = [
    "BottomUpTopDown",
    "Instruction",
    "TaskMemory",
    "Trunk",
    "instructed",
    "layered_top_down",
    "residual_top_down",
    "simple_net",
    "task_memory",
    "top_down_sheet",
]
