"""What attention costs in wire, and a step in memory."""

from dataclasses import dataclass

from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.edge_costs import WIRINGS


@dataclass(frozen=True, kw_only=True)
class CostOptions:
    """What a columnformer costs. A frozen value that checks itself.

    Args:
        wiring: Cost of attention along edges reported by the forward pass: None, ``"distance"``,
            ``"gaussian"`` or (in a sheet) ``"communicability"``.
        power: Exponent of the distance.
        sigma: Radius of the Gaussian cost, in the unit of the geometry.
        memory: ``"store"`` or ``"recompute"`` the activations of a step.

    Raises:
        ValueError: An unknown choice, or a number that is not above 0.
    """

    wiring: str | None = None
    power: float = 1.0
    sigma: float = 2.0
    memory: str = "store"

    def __post_init__(self) -> None:
        if self.wiring is not None:
            check_choice("wiring", self.wiring, WIRINGS)
        check_choice("memory", self.memory, ("store", "recompute"))
        for name in ("power", "sigma"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
