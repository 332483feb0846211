"""The width that fits a budget, so that models of different kinds can be compared fairly."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Model = TypeVar("Model", bound=nn.Module)

BUDGETS = ("parameters", "flops")


def count_parameters(model: nn.Module) -> int:
    """Trained numbers of a model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_flops(model: nn.Module, image_shape: tuple[int, int, int], batch: int = 32) -> int:
    """Floating-point operations of the matrix products of a forward pass, per image.

    Attention along edges (4 E C per step) is left out: it is the same for every weight mode.

    Args:
        model: Called with images ``[batch, channels, Y, X]``.
        image_shape: ``(channels, Y, X)``.
        batch: Images that share what is done once per pass, such as mixing weights.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(batch, *image_shape))
    return int(counter.get_total_flops()) // batch


def widest(
    build: Callable[[int], Model],
    limit: int,
    *,
    budget: str,
    image_shape: tuple[int, int, int],
    multiple: int = 1,
    largest: int = 4096,
) -> Model:
    """The model with the most channels within a budget.

    Args:
        build: Makes the model of a given number of channels.
        limit: The budget.
        budget: ``"parameters"`` or ``"flops"`` (forward pass, per image).
        image_shape: ``(channels, Y, X)``, for counting operations.
        multiple: Channels are a multiple of this, the number of heads.
        largest: Where to stop looking.

    Raises:
        ValueError: An unknown budget, or one that even the narrowest model exceeds.
    """
    if budget not in BUDGETS:
        raise ValueError(f"budget must be one of {BUDGETS}, got {budget!r}")

    def cost(channels: int) -> int:
        with torch.random.fork_rng(devices=[]):  # trial models leave the caller's draws alone
            model = build(channels)
        return (
            count_parameters(model) if budget == "parameters" else count_flops(model, image_shape)
        )

    if cost(multiple) > limit:
        raise ValueError(
            f"{limit} {budget} do not pay for the narrowest model, {multiple} channels and "
            f"{cost(multiple)} {budget}: raise the budget, or use fewer columns, heads or steps"
        )
    low, high = 1, 2  # in multiples; doubling first, so that no trial is far beyond the budget
    while high * multiple <= largest and cost(high * multiple) <= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle * multiple) <= limit else (low, middle)
    return build(low * multiple)


def of_width(
    build: Callable[[int], Model],
    widths: Mapping[str, int | None],
    image_shape: tuple[int, int, int],
    multiple: int,
) -> Model:
    """A model of so many ``channels``, or the widest for so many ``parameters`` or ``flops``.

    Raises:
        ValueError: Not exactly one of the three, or as :func:`widest`.
    """
    given = {name: value for name, value in widths.items() if value is not None}
    if len(given) != 1:
        raise ValueError(
            f"give exactly one of {', '.join(widths)} and leave the others None (null), "
            f"got {given or 'none'}"
        )
    [(name, value)] = given.items()
    if name == "channels":
        return build(value)
    return widest(build, value, budget=name, image_shape=image_shape, multiple=multiple)
