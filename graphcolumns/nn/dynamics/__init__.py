"""Circuits as dynamical systems, and solvers that run any of them to a fixed point.

A circuit is a value with pure functions, see :class:`Circuit`; models that learn are in
``graphcolumns.models.neurodynamics``.
"""

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.follow import follow
from graphcolumns.nn.dynamics.core.iterate import DivergenceError
from graphcolumns.nn.dynamics.core.relaxation import Relaxation, relaxation
from graphcolumns.nn.dynamics.core.solve import Solution, solve
from graphcolumns.nn.dynamics.gradients.implicit import GradientWarning, Implicit
from graphcolumns.nn.dynamics.gradients.reversible import Reversible
from graphcolumns.nn.dynamics.gradients.unrolled import Truncated, Unrolled
from graphcolumns.nn.dynamics.methods.adaptive import Adaptive
from graphcolumns.nn.dynamics.methods.anderson import Anderson
from graphcolumns.nn.dynamics.methods.euler import Euler, Heun
from graphcolumns.nn.dynamics.methods.state_optimizers import Adam, Momentum, RMSProp
from graphcolumns.nn.dynamics.sparse_coding.lca import LCA

__all__ = [
    "LCA",
    "Adam",
    "Adaptive",
    "Anderson",
    "Circuit",
    "DivergenceError",
    "Drive",
    "Euler",
    "GradientWarning",
    "Heun",
    "Implicit",
    "Momentum",
    "RMSProp",
    "Relaxation",
    "Reversible",
    "Solution",
    "Truncated",
    "Unrolled",
    "follow",
    "relaxation",
    "solve",
]
