"""Regression of many targets, some of which may be masked, missing or noisy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from graphcolumns.data import losses, metrics
from graphcolumns.data.check_targets import (
    check_ceiling,
    check_mask,
    check_regions,
    check_responses,
)
from graphcolumns.data.metrics import Metric
from graphcolumns.data.task import Task
from graphcolumns.geometry import Regions
from graphcolumns.nn.batches import Inputs


@dataclass(frozen=True, eq=False, repr=False)
class Regression(Task):
    """V real targets, such as responses of voxels or vertices: ``[B, V]``, squared error.

    The loss of a sample is the mean over its targets that count, and that of a batch the mean over
    its samples, as rules score edges by the loss of each sample. So a response weighs more where
    few others were measured in the same sample. Metrics are medians over targets, of numbers that
    are computed for each target over samples.

    Args:
        mask: Whether each target counts at all, ``[V]`` bool (default: all do). What the others
            hold does not matter.
        noise_ceiling: Share of the variance of each target that the inputs can explain, ``[V]`` in
            ``[0, 1]``; adds the metric ``ceiling_fraction``, over targets with a ceiling above 0.
        missing: Whether NaN in the targets means that one response was not measured. Without it
            NaN is refused in targets that count. See ``masked``.
        regions: Named sets of the targets, such as the regions of interest of a cortex: models
            that have a query per region take them from here, tables have a row for each.

    Raises:
        ValueError: A mask, ceilings or regions of another number of targets, or a ceiling outside
            [0, 1].
        TypeError: A mask that is not bool.
    """

    mask: Tensor | None = None
    noise_ceiling: Tensor | None = None
    missing: bool = False
    regions: Regions | None = None

    name = "regression"
    outputs = "targets"
    main = "r2"

    def __post_init__(self) -> None:
        check_mask(self.mask)
        check_ceiling(self.noise_ceiling, self.mask)
        check_regions(self.regions, self.mask, self.noise_ceiling)

    def loss(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""
        return losses.masked_squared_error(prediction, targets, self.mask)

    def per_sample(self, prediction: Tensor, targets: Tensor) -> Tensor:
        """The loss of every sample, ``[B]``."""
        return losses.masked_squared_error_each(prediction, targets, self.mask)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name, beside the loss."""
        found = {
            "r2": Metric(self._r2, "higher"),
            "pearson_r": Metric(self._pearson, "higher", "1"),
        }
        if self.noise_ceiling is not None:
            found["ceiling_fraction"] = Metric(self._ceiling_fraction, "higher", "fraction")
        return found

    def _r2(self, prediction: Tensor, targets: Tensor) -> Tensor:
        return self._median(metrics.r2_per_target(prediction, targets))

    def _pearson(self, prediction: Tensor, targets: Tensor) -> Tensor:
        return self._median(metrics.pearson_per_target(prediction, targets))

    def _ceiling_fraction(self, prediction: Tensor, targets: Tensor) -> Tensor:
        assert self.noise_ceiling is not None
        ceiling = self.noise_ceiling.to(targets.device)
        return self._median(metrics.ceiling_fraction_per_target(prediction, targets, ceiling))

    def _median(self, values: Tensor) -> Tensor:
        return metrics.median(values if self.mask is None else values[self.mask.to(values.device)])

    def num_outputs(self, targets: Tensor) -> int | None:
        """The number of values per sample, as the targets have it."""
        return targets.shape[1] if targets.ndim == 2 else None

    def check(self, name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
        """Raise unless these are targets of these inputs, see ``Task.check``."""
        check_regions(self.regions, num_outputs=num_outputs)
        check_responses(
            name, targets, inputs, num_outputs, self.mask, self.noise_ceiling, self.missing
        )

    def to(self, device: torch.device | str) -> Task:
        """The same task with its tensors on ``device``."""
        mask = None if self.mask is None else self.mask.to(device)
        ceiling = None if self.noise_ceiling is None else self.noise_ceiling.to(device)
        regions = None if self.regions is None else self.regions.to(device)
        return replace(self, mask=mask, noise_ceiling=ceiling, regions=regions)

    def described(self) -> Any:
        """What tells this task from another one, see ``Task.described``."""
        about = {"mask": self.mask, "noise_ceiling": self.noise_ceiling, "missing": self.missing}
        if self.regions is None:
            return about
        return about | {"regions": dict(zip(self.regions.names, self.regions.masks, strict=True))}


def masked(targets: Tensor, mask: Tensor) -> Tensor:
    """Targets with NaN where the mask is False, for ``Regression(missing=True)``.

    Args:
        targets: Responses, ``[n, V]``.
        mask: Whether each response was measured, ``[n, V]`` or ``[V]`` bool.
    """
    if mask.dtype != torch.bool or mask.shape not in (targets.shape, targets.shape[1:]):
        raise ValueError(
            f"mask must be bool of shape {tuple(targets.shape)} or {tuple(targets.shape[1:])}. "
            f"Got {mask.dtype}, {tuple(mask.shape)}."
        )
    return torch.where(mask, targets, torch.nan)
