"""What a column receives from other columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphcolumns.models.options.dynamics import DynamicsOptions
from graphcolumns.models.options.read_group import read_group
from graphcolumns.nn.attention import ATTENTION_MODES
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.long_range import check_beyond


@dataclass(frozen=True, kw_only=True)
class AttentionOptions:
    """What a column receives. A frozen value that checks itself.

    Args:
        mode: ``"attention"``, ``"selection"``, ``"mixing"``, ``"linear_mixing"`` or
            ``"identity"``, see :class:`ColumnAttention`.
        qk_channels: Width of queries and keys per head (default: ``C / H``).
        value: ``"linear"`` (a value map before and an output map after) or ``"input"``: columns
            receive the states of their sources as they are.
        skip: Whether attention has a residual connection.
        edge_bias: Learned scores per ``"edge"``, per edge and ``"head"``, ``"both"`` or ``"none"``.
        local_sigma: Width of a Gaussian-local start of the edge bias, in the unit of the geometry
            (default: zeros).
        edge_dropout: Probability of dropping an edge while training.
        excitatory_beyond: Length beyond which edges only excite, in the unit of the geometry: along
            them columns send their rectified values, see :class:`ColumnAttention` (default: edges
            of any length carry both signs).
        inhibition: How columns inhibit each other after every step, a value or a mapping of its
            fields (default: not at all).

    Raises:
        ValueError: An unknown choice, a number out of its range, or ``local_sigma`` without an
            edge bias.
        TypeError: A width that is not a whole number.
    """

    mode: str = "attention"
    qk_channels: int | None = None
    value: str = "linear"
    skip: bool = True
    edge_bias: str = "edge"
    local_sigma: float | None = None
    edge_dropout: float = 0.0
    excitatory_beyond: float | None = None
    inhibition: DynamicsOptions | Mapping[str, Any] = DynamicsOptions()

    def __post_init__(self) -> None:
        circuit = read_group("inhibition", self.inhibition, DynamicsOptions())
        object.__setattr__(self, "inhibition", circuit)
        check_choice("mode", self.mode, ATTENTION_MODES)
        check_choice("value", self.value, ("linear", "input"))
        check_choice("edge_bias", self.edge_bias, ("none", "edge", "head", "both"))
        check_dropout(edge_dropout=self.edge_dropout)
        check_beyond("excitatory_beyond", self.excitatory_beyond)
        if self.qk_channels is not None:
            check_counts(qk_channels=self.qk_channels)
        if self.local_sigma is not None:
            self._check_start(self.local_sigma)

    def _check_start(self, sigma: float) -> None:
        if self.edge_bias == "none":
            raise ValueError(
                f"local_sigma={sigma} starts an edge bias, got edge_bias='none': "
                "choose edge_bias='edge', or local_sigma=None"
            )
        if not sigma > 0:
            raise ValueError(f"local_sigma must be above 0, or None for zeros, got {sigma}")
