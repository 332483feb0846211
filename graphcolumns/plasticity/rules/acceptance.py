"""Tests that a proposed swap has to pass before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from graphcolumns.geometry.checks import check_choice
from graphcolumns.plasticity.rules.ranges import require_whole

Accept = Literal["always", "net_gain", "split"]


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """Tests that a proposed swap has to pass before it is made. A frozen value.

    Args:
        accept: Test of the scores of a swap. ``"always"``: none. ``"net_gain"``: the k-th grown
            edge gains more than the k-th pruned edge costs, or, under a budget of length, than the
            pruned edges that make room for it; both scores must be in one unit. ``"split"``: the
            same test on one half of the samples and again, for the chosen swaps, on the other
            half, because the best of many noisy scores is partly chance.
        margin: Least gain of a swap in the unit of the scores (not for ``"always"``).
        tolerance: Largest rise of the loss, measured on the ``check_samples``, that a group of
            swaps may cause; a group above it is not made. None: no group is tried.
        groups: Number of groups into which the swaps are divided for that test, best first.
        regrow: Whether pruned edges compete with the candidates. One that wins is kept as it was,
            as in RigL.
        check_samples: Number of further samples on which the change of the loss is predicted and
            measured at every update. 0: no measurement.

    Raises:
        ValueError: A number is out of range, or two arguments exclude each other.
        TypeError: A count is not a whole number.
    """

    accept: Accept = "always"
    margin: float = 0.0
    tolerance: float | None = None
    groups: int = 1
    regrow: bool = False
    check_samples: int = 64

    def __post_init__(self) -> None:
        check_choice("accept", self.accept, get_args(Accept))
        require_whole("groups", self.groups, least=1)
        require_whole("check_samples", self.check_samples, least=0)
        if self.tolerance is not None and not self.check_samples:
            raise ValueError(
                "tolerance needs samples on which the loss is measured. Got check_samples=0; raise "
                "check_samples, or leave tolerance out."
            )
        if self.groups > 1 and self.tolerance is None:
            raise ValueError(
                "groups of swaps are tried one by one only where there is a tolerance. Got "
                f"groups={self.groups} and tolerance=None; set groups to 1."
            )
        if self.regrow and self.groups > 1:
            raise ValueError(
                "a pruned edge that is regrown is no swap that could be tried alone. Got "
                f"regrow=True and groups={self.groups}; set groups to 1."
            )
        if self.regrow and self.accept != "always":
            raise ValueError(
                "regrow compares pruned edges with candidates by their score for growing, with "
                f"accept='always'. Got accept={self.accept!r}; leave one of them out."
            )
