"""Which weights columns have, and which of them they share."""

from dataclasses import dataclass

from graphcolumns.nn.activations import ACTIVATIONS
from graphcolumns.nn.checks import check_choice, check_counts, check_dropout
from graphcolumns.nn.untied import WEIGHT_MODES


@dataclass(frozen=True, kw_only=True)
class WeightOptions:
    """Whose weights a column has. A frozen value that checks itself.

    Args:
        attention: Mode of the maps of attention: ``"untied"``, ``"shared"``, ``"mixture"`` or
            ``"lowrank"``, see :class:`UntiedLinear`.
        mlp: Mode of the maps of the MLP (default: as ``attention``).
        norm: Mode of the norms (default: as ``attention``).
        rank: Number of shared sets of the mode ``mixture``, or rank of ``lowrank``.
        hidden: Width of the MLP (default: ``2 C`` in a sheet, ``4 C`` in a staged columnformer).
        activation: Activation of the MLP, ``"gelu"`` or ``"relu"``, which has exact zeros.
        dropout: Probability of dropping an activation, after attention and after the MLP.
        std: Standard deviation of the initial weights (default: uniform with fan-in).
        recurrent: Whether all steps have the weights of one layer; if not, each step has a layer
            of its own (feed-forward).

    Raises:
        ValueError: An unknown mode, or a number out of its range.
        TypeError: A count that is not a whole number.
    """

    attention: str = "untied"
    mlp: str | None = None
    norm: str | None = None
    rank: int = 4
    hidden: int | None = None
    activation: str = "gelu"
    dropout: float = 0.0
    std: float | None = None
    recurrent: bool = True

    def __post_init__(self) -> None:
        modes = {"attention": self.attention, "mlp": self.mlp, "norm": self.norm}
        for name, mode in modes.items():
            if mode is not None:
                check_choice(f"weights.{name}", mode, WEIGHT_MODES)
        check_choice("weights.activation", self.activation, tuple(ACTIVATIONS))
        check_counts(rank=self.rank)
        check_dropout(dropout=self.dropout)
        if self.hidden is not None:
            check_counts(hidden=self.hidden)
        if self.std is not None and not self.std > 0:
            raise ValueError(f"std must be above 0, or None for uniform weights, got {self.std}")
