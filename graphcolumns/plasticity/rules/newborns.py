"""First values and protection of newborn edges, and cool-down of pruned pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from graphcolumns.geometry.checks import check_choice
from graphcolumns.plasticity.rules.ranges import require_share, require_whole

FirstValue = Literal["node_mean", "zero_weight", "zero", "epsilon"]


@dataclass(frozen=True, kw_only=True)
class Newborns:
    """First values and protection of newborn edges, and cool-down of pruned pairs. A frozen value.

    Args:
        first_value: First value of the parameters per edge. ``"node_mean"``: the mean over the
            in-edges of its target. ``"zero_weight"``: 0 for signed weights, such as those of
            EdgeLinear, and the mean for scores of attention. ``"zero"``: 0. ``"epsilon"``: so low
            that a newborn gets at most ``epsilon_share`` of the attention.
        epsilon_share: Largest share of the attention of a newborn, for ``"epsilon"``.
        grace: Number of updates during which a newborn is not pruned.
        cool_down: Number of updates during which a pruned pair is not grown again.

    Raises:
        ValueError: A number is out of range.
        TypeError: A count is not a whole number.
    """

    first_value: FirstValue = "node_mean"
    epsilon_share: float = 0.05
    grace: int = 0
    cool_down: int = 1

    def __post_init__(self) -> None:
        check_choice("first_value", self.first_value, get_args(FirstValue))
        require_whole("grace", self.grace, least=0)
        require_whole("cool_down", self.cool_down, least=0)
        require_share("epsilon_share", self.epsilon_share)
        if self.first_value == "epsilon" and not self.epsilon_share:
            raise ValueError(
                "first_value='epsilon' needs a share above 0. Got epsilon_share=0; use "
                "first_value='zero' for a score of 0."
            )
