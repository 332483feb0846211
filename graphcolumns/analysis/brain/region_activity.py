"""Activity of the columns of a model by region and step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn
from tqdm import tqdm

from graphcolumns.analysis.function.column_states import OF_CHANNELS, Channels, states_of_batch
from graphcolumns.geometry import Regions
from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.batches import Inputs, map_tensors, num_samples, require_samples, split_samples
from graphcolumns.nn.recording import evaluating


@dataclass(frozen=True, eq=False, repr=False)
class RegionActivity:
    """Activity by step, sample and region: axes with names. A frozen value that checks itself.

    Args:
        values: Activity, ``[T, S, R]`` float32, in the unit of states (none).
        names: Name of each of the ``R`` regions.
        steps: Number of each of the ``T`` steps, 1 for the first.
        families: Family of each region (default: one family without a name).
        channels: How the channels of a column became one number, see ``region_activity``.

    Raises:
        ValueError: Names, families or steps of another number.
    """

    values: Tensor
    names: tuple[str, ...]
    steps: tuple[int, ...]
    families: tuple[str, ...] = ()
    channels: str = "mean_abs"

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", self.families or ("",) * len(self.names))
        sizes = len(self.steps), len(self.names)
        found = tuple(self.values.shape)
        if len(found) != 3 or (found[0], found[2]) != sizes or len(self.families) != sizes[1]:
            raise ValueError(
                f"values must be [T, S, R] with T = {sizes[0]} steps and R = {sizes[1]} names. Got "
                f"{list(found)} and {len(self.families)} families."
            )

    def __repr__(self) -> str:
        steps, samples, regions = self.values.shape
        return f"RegionActivity({steps} steps, {samples} samples, {regions} regions)"

    def of(self, name: str) -> Tensor:
        """The activity of one region, ``[T, S]``.

        Raises:
            ValueError: There is no such region.
        """
        if name not in self.names:
            raise ValueError(
                f"name must be one of {', '.join(map(repr, self.names))}. Got {name!r}."
            )
        return self.values[:, :, self.names.index(name)]


@torch.no_grad()
def region_activity(
    model: nn.Module,
    inputs: Inputs,
    regions: Regions,
    channels: Channels = "mean_abs",
    batch_size: int = 64,
    progress: bool = False,
) -> RegionActivity:
    r"""Mean activity of the columns of every region, after every step, for every sample.

    .. math::
        a_{tsr} = \frac{1}{|r|} \sum_{n \in r} f(x^t_{ns})

    with the state :math:`x^t_{ns}` of column :math:`n` after step :math:`t`, of ``C`` channels,
    without dropout. A column in two regions counts in both.

    Args:
        model: Model whose columns are in the order of the regions: from ``graphcolumns.load``, that
            of the geometry. One with ``forward(inputs, return_states=True)``, such as a
            ``Columnformer``, gives every step; any other its last state, as one step.
        inputs: Samples, ``[S, ...]`` or a mapping of tensors, on the device of the model or not.
        regions: Regions of the ``N`` columns.
        channels: What a column's activity is, :math:`f`: ``"mean_abs"``, the mean over channels of
            :math:`|x|`, as in reports; ``"mean"`` of :math:`x`; or its Euclidean ``"norm"``.
        batch_size: Number of samples at a time.
        progress: Whether to show a progress bar.

    Returns:
        Activity ``[T, S, R]`` on the CPU, regions in their order.

    Raises:
        ValueError: Regions of another number of columns, no sample, or an unknown choice.
        TypeError: A model that returns no state.
    """
    check_choice("channels", channels, get_args(Channels))
    require_samples(inputs)
    device = next((value.device for value in model.parameters()), torch.device("cpu"))
    share = regions.masks.to(device).float()
    share = share / share.sum(1, keepdim=True)
    total = -(-num_samples(inputs) // batch_size)
    shown = tqdm(
        split_samples(inputs, batch_size), "activity", total, unit="batch", disable=not progress
    )
    parts = []
    with evaluating(model):
        for batch in shown:
            states = states_of_batch(model, map_tensors(lambda tensor: tensor.to(device), batch))
            _check_columns(states.shape[1], regions)
            parts.append(torch.einsum("tnb,rn->tbr", OF_CHANNELS[channels](states), share).cpu())
    values = torch.cat(parts, dim=1)
    steps = tuple(range(1, len(values) + 1))
    return RegionActivity(values, regions.names, steps, regions.families, channels)


def _check_columns(columns: int, regions: Regions) -> None:
    if columns != regions.num_vertices:
        raise ValueError(
            f"regions must be of the columns of the model. Expected {columns:,} columns. Got "
            f"regions of {regions.num_vertices:,} vertices; take regions of the same surface, or "
            "regions.subset(vertices)."
        )
