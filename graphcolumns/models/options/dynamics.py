"""How the columns of a sheet inhibit each other."""

from dataclasses import dataclass

from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.dynamics.column_dynamics import (
    CIRCUITS,
    COMPETITIONS,
    check_excitation,
    check_step,
)
from graphcolumns.nn.dynamics.sparse_coding.checks import check_threshold


@dataclass(frozen=True, kw_only=True)
class DynamicsOptions:
    """How columns inhibit each other after every step. A frozen value that checks itself.

    Args:
        threshold: Activity below which a column (or a channel) is silent, in units of the state, or
            None for no inhibition.
        competition: Between the activities of whole ``"column"``s, or on every ``"channel"``, see
            :class:`.ColumnDynamics`.
        degree: Number of nearest columns that inhibit each column at the start.
        steps: Number of time steps of the circuit after every step of the sheet.
        dt: Time step of the circuit.
        strength: Inhibition at the start, summed over the in-edges of a column.
        circuit: ``"lca"``, locally competitive, or ``"wta"``, winner-take-all.
        excitation: Self-excitation of the winner-take-all circuit.

    Raises:
        ValueError: An unknown competition or circuit, or a number out of its range.
        TypeError: A count that is not a whole number.
    """

    threshold: float | None = None
    competition: str = "column"
    degree: int = 8
    steps: int = 3
    dt: float = 0.5
    strength: float = 0.5
    circuit: str = "lca"
    excitation: float = 0.5

    def __post_init__(self) -> None:
        if self.threshold is not None:
            check_threshold(self.threshold)
        check_choice("competition", self.competition, COMPETITIONS)
        check_choice("circuit", self.circuit, CIRCUITS)
        check_excitation(self.excitation)
        check_counts(degree=self.degree, steps=self.steps)
        check_step(self.dt, self.strength)
