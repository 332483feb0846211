"""Values of vertices that are shown on a surface: how well they are predicted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.analysis.brain.check_arrays import check_predicted, check_targets
from graphcolumns.data import metrics
from graphcolumns.data.regression import Regression

SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"


@dataclass(frozen=True, eq=False)
class SurfaceMap:
    """A value per vertex, and how it is coloured. A frozen value that checks itself.

    Colours go from blue to yellow (viridis), or for differences from blue over white to red, with
    white at 0: every kind of colour vision can distinguish them.

    Args:
        values: Values, ``[V]``; NaN is grey, as vertices without data.
        label: Name of the colour scale.
        unit: Unit of the values, ``"1"`` for a pure number.
        difference: Whether values are differences: the scale is symmetric around 0.
        limits: Ends of the colour scale; values beyond them have the colour of the end (default:
            the smallest and the largest value, for differences the largest size on both sides).

    Raises:
        ValueError: Values of another shape, limits that do not ascend, or limits of a difference
            that are not symmetric.
    """

    values: Tensor
    label: str
    unit: str = "1"
    difference: bool = False
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not len(self.values):
            raise ValueError(f"values must be one per vertex, [V]. Got {list(self.values.shape)}.")
        if self.limits is None:
            return
        low, high = self.limits
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"limits must ascend, (low, high). Got {self.limits}.")
        if self.difference and low != -high:
            raise ValueError(
                f"limits of a difference must be symmetric, (-x, x). Got {self.limits}."
            )

    @property
    def colours(self) -> str:
        """Name of the colour map in matplotlib."""
        return DIVERGING if self.difference else SEQUENTIAL

    @property
    def title(self) -> str:
        """Label and unit."""
        return self.label if self.unit == "1" else f"{self.label} ({self.unit})"

    def ends(self) -> tuple[float, float]:
        """Ends of the colour scale."""
        if self.limits is not None:
            return self.limits
        known = self.values.detach().double().cpu()
        known = known[known.isfinite()]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        if self.difference:
            high = max(abs(low), abs(high)) or 1.0
            return -high, high
        return (low, high) if high > low else (low - 0.5, high + 0.5)


def accuracy_maps(
    prediction: Tensor,
    targets: Tensor,
    task: Regression | None = None,
    baselines: Mapping[str, Tensor] | None = None,
) -> dict[str, SurfaceMap]:
    """How well each vertex is predicted, and how much better than by other models.

    Args:
        prediction: Predicted responses to held-out samples, ``[n, V]``.
        targets: Measured responses, ``[n, V]``.
        task: Task with a mask and noise ceilings; vertices that do not count are grey.
        baselines: Predictions of other models by name, ``[n, V]`` each, such as those of ridge.

    Returns:
        Maps by name: ``"correlation"``, with ceilings ``"share of ceiling"`` (:math:`r^2 / NC` from
        0 to 1), and ``"difference to NAME"`` of correlations for each baseline.

    Raises:
        ValueError: Shapes that do not fit.
    """
    check_targets(targets)
    given = {"prediction": prediction, **(baselines or {})}
    for name, predicted in given.items():
        check_predicted(name, predicted, targets)
    counted = None if task is None or task.mask is None else task.mask.to(targets.device)

    def shown(values: Tensor) -> Tensor:
        return values if counted is None else torch.where(counted, values, torch.nan)

    r = metrics.pearson_per_target(prediction, targets)
    maps = {"correlation": SurfaceMap(shown(r), "correlation r")}
    if task is not None and task.noise_ceiling is not None:
        ceiling = task.noise_ceiling.to(targets.device)
        share = metrics.ceiling_fraction_per_target(prediction, targets, ceiling)
        label = "r²/NC"
        maps["share of ceiling"] = SurfaceMap(shown(share), label, limits=(0.0, 1.0))
    for name, predicted in (baselines or {}).items():
        less = r - metrics.pearson_per_target(predicted, targets)
        label = f"r minus that of {name}"
        maps[f"difference to {name}"] = SurfaceMap(shown(less), label, difference=True)
    return maps
