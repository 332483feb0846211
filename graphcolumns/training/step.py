"""One optimizer step."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.optim import Optimizer

from graphcolumns.learning.backprop import Terms, backprop
from graphcolumns.nn.batches import Inputs

# A learning rule, see `graphcolumns.learning`.
Learn = Callable[..., Tensor]


def train_step(
    model: nn.Module,
    batch: tuple[Inputs, Tensor],
    terms: Terms,
    optimizer: Optimizer,
    scaler: GradScaler,
    *,
    step: int,
    learn: Learn = backprop,
    clip: float | None = None,
    parts: int = 1,
    amp: str | None = None,
    watch: Callable[[], None] | None = None,
    skip: bool = False,
) -> dict[str, float]:
    """Inputs -> model -> losses -> gradients -> optimizer.

    Args:
        model: Model that returns an output for the inputs.
        batch: Inputs, a tensor ``[B, ...]`` or a mapping of such tensors, and targets ``[B, ...]``.
        terms: Weight and term by name; the loss is the weighted sum.
        optimizer: Optimizer that makes one step.
        scaler: Scaler of the loss for float16, disabled otherwise.
        step: Number of the step, for the error message.
        learn: Learning rule that fills ``.grad``, see ``graphcolumns.learning``.
        clip: Largest norm of the gradient, or None.
        parts: Number of parts that the batch is split into, see ``backprop``.
        amp: Precision of products: None, ``"bfloat16"`` or ``"float16"``.
        watch: Function called before the optimizer's step, to look at gradients.
        skip: Whether to do everything but the optimizer's step.

    Returns:
        ``loss``, every term by name, and ``gradient_norm`` before clipping.

    Raises:
        FloatingPointError: Loss or gradient are not finite; the step is not made.
    """
    optimizer.zero_grad(set_to_none=True)
    values = learn(model, batch, terms, scaler=scaler, parts=parts, amp=amp)
    scaler.unscale_(optimizer)
    # With no limit this only measures the norm.
    norm = nn.utils.clip_grad_norm_(model.parameters(), inf if clip is None else clip)
    weights = torch.tensor([float(w) for w, _ in terms.values()], device=values.device)
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
    """Lets every module that has a method ``after_step()`` bring its parameters back to its rules.

    That is how learned positions keep their distance. It must be a function of the parameters: a
    resumed run repeats it from a checkpoint.
    """
    for module in model.modules():
        repair = getattr(module, "after_step", None)
        if callable(repair):
            repair()


def _check_finite(result: dict[str, float], step: int, scaler: GradScaler) -> None:
    # In float16 an overflowing gradient is normal: the scaler skips the step and scales less.
    if isfinite(result["loss"]) and (isfinite(result["gradient_norm"]) or scaler.is_enabled()):
        return
    values = ", ".join(f"{name}={value:g}" for name, value in result.items())
    raise FloatingPointError(
        f"loss and gradient must be finite. At step {step} got {values}. Try a lower lr, a longer "
        "warmup, a smaller clip, or amp=None; the last checkpoint is kept."
    )
