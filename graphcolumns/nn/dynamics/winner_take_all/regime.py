"""How a winner-take-all circuit behaves, from its parameters."""

from __future__ import annotations

import warnings
from enum import Enum
from math import sqrt


class Regime(Enum):
    """What a winner-take-all circuit does, see :func:`regime_of`.

    Attributes:
        SOFT: One fixed point that attracts every state, with one or several active units.
        SINGLE_WINNER: One unit stays active in the reach of an inhibitory unit; which one depends
            on inputs and start.
        LIMIT_CYCLE: Bounded oscillation.
        UNBOUNDED: Activity grows beyond all bounds.
    """

    SOFT = "contraction (soft winner-take-all)"
    SINGLE_WINNER = "single winner"
    LIMIT_CYCLE = "limit cycle"
    UNBOUNDED = "unbounded"


class RegimeWarning(UserWarning):
    """A circuit has parameters at which it does not converge; the message names the regime."""


def regime_of(alpha: float, beta: float) -> Regime:
    r"""The regime of a winner-take-all circuit with unit leak and equal time constants.

    A single active unit and its inhibitory unit have the Jacobian
    :math:`\begin{pmatrix} \alpha - 1 & -\beta_1 \\ \beta_2 & -1 \end{pmatrix}` with trace
    :math:`\alpha - 2` and determinant :math:`1 + \beta - \alpha`, where
    :math:`\beta = \beta_1 \beta_2`; the difference of two active units grows at the rate
    :math:`\alpha - 1`. From that,

    ======================================================= =============
    parameters                                              regime
    ======================================================= =============
    :math:`\alpha < 1`                                      soft
    :math:`1 \le \alpha < \min(2, 1 + \beta)`               single winner
    :math:`2 \le \alpha < 2 \sqrt{\beta}`                   limit cycle
    otherwise                                               unbounded
    ======================================================= =============

    The region in which the paper below proves contraction to a winner,
    :math:`1 < \alpha < 2 \sqrt{\beta}` and :math:`1/4 < \beta < 1`, lies inside the second row.
    With leak G, the regime is that of :math:`\alpha / G` and :math:`\beta / G^2`.

    Args:
        alpha: Self-excitation :math:`\alpha`, 0 or more.
        beta: Strength of the inhibitory loop :math:`\beta_1 \beta_2`, 0 or more.

    Raises:
        ValueError: A negative or undefined number.

    Source: Rutishauser, Douglas & Slotine, Collective stability of networks of winner-take-all
    circuits, Neural Computation 2011, https://doi.org/10.1162/NECO_a_00091.

    Example:
        >>> from graphcolumns.nn.dynamics import regime_of
        >>> regime_of(alpha=1.5, beta=2.25).value
        'single winner'
    """
    if not (alpha >= 0 and beta >= 0):
        raise ValueError(f"alpha and beta must be 0 or more. Got alpha={alpha!r}, beta={beta!r}.")
    if alpha < 1:
        return Regime.SOFT
    if alpha < min(2.0, 1 + beta):
        return Regime.SINGLE_WINNER
    return Regime.LIMIT_CYCLE if 2 <= alpha < 2 * sqrt(beta) else Regime.UNBOUNDED


def warn_of(regime: Regime, name: str, alpha: float, beta: float) -> None:
    """Gives a RegimeWarning where a circuit does not converge."""
    if regime in (Regime.LIMIT_CYCLE, Regime.UNBOUNDED):
        warnings.warn(
            f"a winner-take-all circuit converges for alpha < min(2, 1 + beta). Got {name} in the "
            f"regime {regime.value!r} with alpha={alpha:.6g}, beta={beta:.6g} in units of the "
            "leak; lower alpha, or look at its trajectory with record=1.",
            RegimeWarning,
            stacklevel=4,
        )


def step_limit_of(alpha: float, strength: float, sequential: bool) -> float:
    r"""The time step below which Euler steps are stable at every set of active units.

    A mode of the coupling with singular value :math:`\sigma` has the Jacobian
    :math:`\begin{pmatrix} \alpha - 1 & -\sigma \\ \sigma & -1 \end{pmatrix}`. Both eigenvalues of
    a step at once (Jacobi) are within the unit circle for
    :math:`dt < (2 - \alpha) / (1 - \alpha + \sigma^2)`; where excitatory units see the new
    inhibition (Gauss-Seidel), for
    :math:`dt^2 (\sigma^2 - 1 + \alpha) + 2 dt (2 - \alpha) < 4`. Both fall with
    :math:`\sigma`, so that the largest decides. Inactive units need :math:`dt < 2`, and modes
    without inhibition :math:`dt < 2 / (1 - \alpha)`.

    Args:
        alpha: Self-excitation :math:`\alpha` below 2, in units of the leak.
        strength: Largest squared singular value of the coupling, in units of the leak squared.
        sequential: Whether excitatory units see the new inhibition.
    """
    single = 2 / max(1.0, 1 - alpha)
    if not sequential:
        return min(single, (2 - alpha) / (1 - alpha + strength))
    a, b = strength - 1 + alpha, 2 - alpha
    # The positive root of a dt^2 + 2 b dt - 4, in a form that also holds at a = 0.
    root = b * b + 4 * a
    return min(single, 4 / (b + sqrt(root))) if root >= 0 else single
