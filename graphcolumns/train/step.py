"""One optimizer step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, isfinite

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from graphcolumns.nn.batches import Inputs, device_of, num_samples, split_evenly
from graphcolumns.train.options import PRECISIONS
from graphcolumns.train.terms import Term

Terms = Mapping[str, tuple[float, Term]]


def train_step(
    model: nn.Module,
    inputs: Inputs,
    targets: Tensor,
    terms: Terms,
    optimizer: Optimizer,
    scaler: GradScaler,
    *,
    step: int,
    clip: float | None = None,
    parts: int = 1,
    amp: str | None = None,
    watch: Callable[[], None] | None = None,
    skip: bool = False,
) -> dict[str, float]:
    """Inputs -> model -> losses -> backward -> optimizer.

    Args:
        model: returns an output for `inputs`.
        inputs: `[B, ...]`, such as `[B, channels, Y, X]`, or a mapping of such tensors.
        targets: one per input.
        terms: name -> (weight, term); the loss is the weighted sum.
        optimizer: makes one step.
        scaler: scales the loss for float16, disabled otherwise.
        step: for the error message.
        clip: largest norm of the gradient, or None.
        parts: the batch goes through the model in that many parts, each weighted by its share of
            the samples, which gives the gradient of the whole batch.
        amp: None, `"bfloat16"` or `"float16"`.
        watch: called between the backward pass and the optimizer's step, to look at gradients.
        skip: everything but the optimizer's step.

    Returns:
        `loss`, every term by name, and `gradient_norm` before clipping.

    Raises:
        FloatingPointError: loss or gradient are not finite; the step is not made.
    """
    optimizer.zero_grad(set_to_none=True)
    samples = num_samples(inputs)
    weights = torch.tensor([float(w) for w, _ in terms.values()], device=device_of(inputs))
    values = torch.zeros_like(weights)
    for x, y in zip(split_evenly(inputs, parts), targets.tensor_split(parts), strict=True):
        losses = _losses(model, x, y, terms, amp) * (len(y) / samples)
        scaler.scale(weights @ losses).backward()
        values += losses.detach()
    scaler.unscale_(optimizer)
    # With no limit this only measures the norm.
    norm = nn.utils.clip_grad_norm_(model.parameters(), inf if clip is None else clip)
    # One transfer from the device for all numbers.
    loss, *each, gradient_norm = torch.cat([(weights @ values)[None], values, norm[None]]).tolist()
    result = {"loss": loss, **dict(zip(terms, each, strict=True)), "gradient_norm": gradient_norm}
    _check_finite(result, step, scaler)
    if watch is not None:
        watch()
    if not skip:
        scaler.step(optimizer)
    scaler.update()
    return result


def after_step(model: nn.Module) -> None:
    """Lets every module that has a method `after_step()` bring its parameters back to its rules.

    That is how learned positions keep their distance. It must be a function of the parameters: a
    resumed run repeats it from a checkpoint.
    """
    for module in model.modules():
        repair = getattr(module, "after_step", None)
        if callable(repair):
            repair()


def _losses(
    model: nn.Module, inputs: Inputs, targets: Tensor, terms: Terms, amp: str | None
) -> Tensor:
    """The value of every term, `[len(terms)]` float32."""
    lower = None if amp is None else PRECISIONS[amp]
    with torch.autocast(device_of(inputs).type, dtype=lower, enabled=amp is not None):
        output = model(inputs)
    return torch.stack([term(model, output, targets).float() for _, term in terms.values()])


def _check_finite(result: dict[str, float], step: int, scaler: GradScaler) -> None:
    # In float16 an overflowing gradient is normal: the scaler skips the step and scales less.
    if isfinite(result["loss"]) and (isfinite(result["gradient_norm"]) or scaler.is_enabled()):
        return
    values = ", ".join(f"{name}={value:g}" for name, value in result.items())
    raise FloatingPointError(
        f"loss and gradient must be finite. At step {step} got {values}. Try a lower lr, a longer "
        "warmup, a smaller clip, or amp=None; the last checkpoint is kept."
    )
