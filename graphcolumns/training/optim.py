"""The optimizer and its learning rate."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, isfinite, pi
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from graphcolumns.plasticity import EdgeAdamW, edge_parameters


def adamw(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    betas: tuple[float, float],
    plastic: bool = False,
) -> AdamW:
    """Fused AdamW in two groups: parameters that decay, and those that do not.

    Where edges change (``plastic``), parameters per edge have groups of their own in an
    ``EdgeAdamW``, in which every edge counts its own steps.

    Not decayed: scalars and vectors (``ndim <= 1``), and parameters that their module names in its
    class attribute ``no_weight_decay``: biases, norms, embeddings. The names are needed because the
    parameters of untied columns carry a leading column axis, so a bias is ``[N, out]``. Vectors
    that their module names in ``decayed`` are decayed: weights per edge.

    Source: Loshchilov & Hutter, Decoupled weight decay regularization, ICLR 2019.
    """
    optimizer = EdgeAdamW if plastic else AdamW
    return optimizer(groups(model, weight_decay, plastic), lr=lr, betas=betas, fused=True)


def custom_optimizer(
    make: Callable[..., Optimizer], model: nn.Module, lr: float, weight_decay: float
) -> Optimizer:
    """An optimizer of the user: ``make(groups, lr=lr)``, with the weight decay of each group in it.

    Args:
        make: Class of ``torch.optim``, or a function of (groups of parameters, lr).
        model: Model whose parameters are optimised.
        lr: Highest learning rate.
        weight_decay: Weight decay of the parameters that decay, see ``adamw``.

    Raises:
        TypeError: ``make`` returns something else than an optimizer.
        ValueError: The optimizer has no weight decay, and one is given.
    """
    optimizer = make(groups(model, weight_decay), lr=lr)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            "optimizer must be a class of torch.optim, or a function of (groups, lr) that returns "
            f"an Optimizer. Got {type(optimizer).__name__}."
        )
    if weight_decay and "weight_decay" not in optimizer.defaults:
        raise ValueError(
            f"{type(optimizer).__name__} has no weight decay. Got weight_decay={weight_decay}; "
            "give 0."
        )
    return optimizer


def groups(model: nn.Module, weight_decay: float, plastic: bool = False) -> list[dict[str, Any]]:
    """Parameters that decay and those that do not, per-edge ones apart if edges change."""
    kept = parameters_without_decay(model)
    per_edge = set(edge_parameters(model)) if plastic else set()
    parameters = [p for p in model.parameters() if p.requires_grad]
    parts: list[dict[str, Any]] = [
        {
            "params": [p for p in parameters if (p in kept) == bare and (p in per_edge) == edges],
            "weight_decay": 0.0 if bare else weight_decay,
            **({"edges": edges} if plastic else {}),
        }
        for edges in (False, True)
        for bare in (False, True)
    ]
    return [part for part in parts if part["params"]]


def parameters_without_decay(model: nn.Module) -> set[nn.Parameter]:
    """The parameters that weight decay leaves alone."""
    kept, decayed = _named(model, "no_weight_decay"), _named(model, "decayed")
    return {p for p in model.parameters() if (p.ndim <= 1 and p not in decayed) or p in kept}


def _named(model: nn.Module, attribute: str) -> set[Any]:
    """The parameters that modules name in a class attribute."""
    return {
        getattr(module, name, None)
        for module in model.modules()
        for name in getattr(module, attribute, ())
    }


def learning_rate(step: int, steps: int, lr: float, warmup: float, min_lr: float) -> float:
    r"""Linear warm-up, then half a cosine.

    With :math:`W` = ``warmup * steps``: from ``min_lr * lr`` at step 0 straight up to ``lr`` at
    step :math:`W`, then :math:`lr\,(m + (1 - m)(1 + \cos \pi s) / 2)` with :math:`s` from 0 at step
    :math:`W` to 1 at the last step.

    Args:
        step: Number of the step, from 0 to ``steps - 1``.
        steps: Length of the run.
        lr: Highest learning rate.
        warmup: Share of the steps spent warming up, in [0, 1].
        min_lr: Lowest learning rate as a share :math:`m` of ``lr``.
    """
    rising = round(warmup * steps)
    if step < rising:
        share = step / rising
    else:
        share = (1 + cos(pi * (step - rising) / max(1, steps - 1 - rising))) / 2
    return lr * (min_lr + (1 - min_lr) * share)


def schedule_rate(schedule: Callable[[int, int], float], step: int, steps: int, lr: float) -> float:
    """The rate by a schedule of the user: ``lr * schedule(step, steps)``.

    Raises:
        ValueError: The share is negative or not finite.
        TypeError: It is no number.
    """
    share = float(schedule(step, steps))
    if not (share >= 0 and isfinite(share)):
        raise ValueError(
            "schedule(step, steps) must return a share of lr, 0 or more. Got "
            f"{share} at step {step} of {steps}."
        )
    return lr * share


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
