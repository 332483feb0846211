"""Gradients by predictive coding: every weight learns from the error of the layer it predicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from graphcolumns.learning.backprop import Terms
from graphcolumns.nn.batches import Inputs, device_of, require_samples, split_evenly
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics import (
    Drive,
    Euler,
    FixedPrediction,
    Layer,
    PredictiveCoding,
    local_energy,
    solve,
    z_il,
)

Inference = Literal["equilibrium", "incremental", "fixed_prediction", "z_il"]
# Values and precision-weighted errors of layers, from which weights learn.
Moment = tuple[dict[str, Tensor], dict[str, Tensor]]


class PredictiveModel(Protocol):
    """What this rule requires of a model, beside the contract of all models.

    Attributes:
        label: Name of the layer that is clamped to the targets.
    """

    label: str

    def circuit(self, *, form: str, output_precision: float) -> PredictiveCoding:
        """The network with its present weights, inputs and label clamped."""

    def clamps(self, inputs: Any) -> dict[str, Tensor]:
        """Values of the clamped layers but the label, by name."""


def predictive_coding(
    model: nn.Module,
    batch: tuple[Inputs, Tensor],
    terms: Terms,
    *,
    scaler: GradScaler,
    parts: int = 1,
    amp: str | None = None,
    inference: Inference = "equilibrium",
    form: Literal["state", "error"] = "state",
    steps: int = 20,
    dt: float = 0.1,
    output_precision: float = 1.0,
    nudge: float | None = None,
    centered: bool = False,
) -> Tensor:
    r"""Fills ``.grad`` with the gradient of the energy of predictive coding, from local errors.

    Input and label are clamped, the layers in between infer their values, and every weight descends
    the error of the layer that it predicts, :math:`-\delta_l \, \partial f_l / \partial W_l`. No
    gradient passes through a layer. What is minimised is the model's own energy: the loss of its
    label layer, not ``terms``, whose values are computed for the log.

    Args:
        model: Model with ``circuit``, ``clamps`` and ``label``, see :class:`PredictiveModel`, such
            as ``graphcolumns.models.neurodynamics.PredictiveCodingModel``.
        batch: Inputs ``[B, ...]`` and targets ``[B]`` (classes) or ``[B, ...]`` (values).
        terms: Weight and term by name. The first is the loss of the task; others must have weight
            0.
        scaler: Scaler of the loss, disabled.
        parts: Number of parts that the batch goes through the model in.
        amp: None: inference is not run in half precision.
        inference: What weights learn from. ``"equilibrium"``: errors after inference.
            ``"incremental"``: the mean over all steps of inference, which for small learning rates
            is what weights that move in every step add up to. ``"fixed_prediction"``
            and ``"z_il"``: errors equal to backpropagation.
        form: Variables of inference, see ``PredictiveCoding``: ``"state"`` goes with every network,
            ``"error"`` needs fewer steps in deep ones.
        steps: Number of steps of inference.
        dt: Time step of inference.
        output_precision: Precision of the label; gradients are divided by it. Towards 0 they become
            those of backpropagation.
        nudge: Share :math:`\beta` of the way from prediction to target at which the label is
            clamped (None: at the target); gradients are divided by it. Negative nudges push away.
        centered: Whether the gradient is the mean of those of the nudges :math:`\beta` and
            :math:`-\beta`. A first guess of the model (its ``initialiser``) learns from the mean of
            the values that the two infer.

    Returns:
        The value of every term, ``[len(terms)]``, detached.

    Raises:
        TypeError: The model has no circuit.
        ValueError: Options that do not go together, other terms with a weight, ``amp``.
        DivergenceError: Inference diverged; take a smaller ``dt``.

    Source: Whittington & Bogacz, Neural Computation 2017, https://doi.org/10.1162/NECO_a_00949;
    incremental: Salvatori et al., A stable, fast, and fully automatic learning algorithm for
    predictive coding networks, ICLR 2024, https://arxiv.org/abs/2212.00720; nudging: Pinchetti et
    al., Benchmarking predictive coding networks, ICLR 2025, https://arxiv.org/abs/2407.01163.
    """
    options = _Options(inference, form, steps, dt, output_precision, nudge, centered)
    _check(model, terms, amp)
    inputs, targets = batch
    samples = require_samples(inputs)
    weights = torch.tensor([float(w) for w, _ in terms.values()], device=device_of(inputs))
    values = torch.zeros_like(weights)
    for x, y in zip(split_evenly(inputs, parts), targets.tensor_split(parts), strict=True):
        share = len(y) / samples
        with torch.no_grad():
            output = model(x)
            each = [term(model, output, y).float() for _, term in terms.values()]
        values += torch.stack(each) * share
        scaler.scale(_energy(model, x, y, options) / samples).backward()
    return values


@dataclass(frozen=True)
class _Options:
    inference: str
    form: str
    steps: int
    dt: float
    output_precision: float
    nudge: float | None
    centered: bool

    def __post_init__(self) -> None:
        check_counts(steps=self.steps)
        known = ("equilibrium", "incremental", "fixed_prediction", "z_il")
        if self.inference not in known:
            raise ValueError(
                f"inference must be one of {', '.join(known)}. Got {self.inference!r}."
            )
        if not self.output_precision > 0 or not self.dt > 0:
            raise ValueError(
                "output_precision and dt must be positive. Got "
                f"output_precision={self.output_precision!r}, dt={self.dt!r}."
            )
        if self.nudge == 0 or (self.centered and self.nudge is None):
            raise ValueError(
                "nudge must not be 0, and centered needs a nudge. Got "
                f"nudge={self.nudge!r}, centered={self.centered!r}."
            )
        exact = self.inference in ("fixed_prediction", "z_il")
        if exact and (self.output_precision != 1 or self.nudge is not None):
            raise ValueError(
                "fixed predictions and z_il are linear in the error of the output. Got "
                f"output_precision={self.output_precision!r}, nudge={self.nudge!r}; leave both out."
            )

    @property
    def nudges(self) -> tuple[float | None, ...]:
        """All nudges whose gradients are averaged."""
        if self.centered and self.nudge is not None:
            return self.nudge, -self.nudge
        return (self.nudge,)


def _check(model: nn.Module, terms: Terms, amp: str | None) -> None:
    if not all(hasattr(model, name) for name in ("circuit", "clamps", "label")):
        raise TypeError(
            "predictive_coding trains models with circuit, clamps and label. Got "
            f"{type(model).__name__}; take models.neurodynamics.PredictiveCodingModel, or "
            "learn=backprop."
        )
    if amp is not None:
        raise ValueError(f"inference is not run in half precision. Got amp={amp!r}; pass None.")
    _, *others = terms.items()
    if heavy := [name for name, (weight, _) in others if weight]:
        raise ValueError(
            "predictive_coding descends the energy of the model and no other term. Got "
            f"{', '.join(map(repr, heavy))}; set its weight to 0, or pass learn=backprop."
        )


def _energy(model: Any, inputs: Inputs, targets: Tensor, options: _Options) -> Tensor:
    """A number with the gradients of the rule, summed over samples."""
    precision = options.output_precision
    circuit = model.circuit(form=options.form, output_precision=precision)
    clamps = model.clamps(inputs)
    wanted = target_values(targets, circuit, model.label, next(iter(clamps.values())))
    total, inferred = wanted.new_zeros(()), []
    for nudge in options.nudges:
        clamped = clamps | {model.label: _nudged(circuit, clamps, model.label, wanted, nudge)}
        moments = list(_moments(circuit, clamped, options))
        inferred.append(moments[-1][0])
        drive = circuit.drive(clamped)
        scale = precision * (nudge or 1.0) * len(moments) * len(options.nudges)
        total = total + sum(local_energy(circuit, *m, drive) for m in moments) / scale
    if (initialiser := getattr(model, "initialiser", None)) is not None:
        # What the nudges move in opposite ways cancels: the guess is of what lies between them.
        mean = {name: torch.stack([v[name] for v in inferred]).mean(0) for name in inferred[0]}
        total = total + initialiser.energy(mean)
    return total


def target_values(targets: Tensor, circuit: PredictiveCoding, label: str, like: Tensor) -> Tensor:
    """Targets as values of the label layer: classes one-hot, all else in its shape.

    Args:
        targets: Classes ``[B]`` of an integer type, or values ``[B, ...]``.
        circuit: Network.
        label: Name of the layer.
        like: Tensor with the dtype and device of values.

    Raises:
        ValueError: Classes that the layer does not have, or another number of values.
    """
    layer: Layer = circuit.layers[label]
    if not targets.is_floating_point():
        if targets.dim() != 1:
            raise ValueError(f"classes must be [B]. Got {tuple(targets.shape)}; pass values.")
        eye = torch.eye(layer.size, dtype=like.dtype, device=like.device)
        targets = eye[targets.long()]
    if targets[:1].numel() != layer.size * len(targets[:1]):
        raise ValueError(
            f"targets must have one value per unit of {label!r}. Expected {layer.size}. Got "
            f"{tuple(targets.shape[1:])}."
        )
    values = targets.to(like).reshape(len(targets), *layer.sizes)
    return values.movedim(0, circuit.batch_dim)


@torch.no_grad()
def _nudged(
    circuit: PredictiveCoding,
    clamps: dict[str, Tensor],
    label: str,
    wanted: Tensor,
    nudge: float | None,
) -> Tensor:
    """The label, on its way from the prediction of the feed-forward pass to the target."""
    if nudge is None:
        return wanted
    if label not in circuit.predicted or circuit.order is None:
        raise ValueError(
            f"nudge needs a label that a feed-forward pass predicts. Got nudge={nudge!r} for "
            f"{label!r}; leave it out."
        )
    drive = circuit.drive(clamps | {label: wanted})
    values = circuit.values(circuit.initial(drive), drive)
    # The error of a cross-entropy is that of the probabilities.
    plain = circuit.errors(values, drive)[label] / circuit.layers[label].precision
    return wanted - (1 - nudge) * plain


@torch.no_grad()
def _moments(
    circuit: PredictiveCoding, clamped: dict[str, Tensor], options: _Options
) -> Iterator[Moment]:
    """The values and errors from which weights learn: one pair, or one per step."""
    if options.inference == "fixed_prediction":
        yield _fixed(circuit, clamped)
        return
    drive = circuit.drive(clamped)
    if options.inference == "z_il":
        yield z_il(circuit, drive)
    elif options.inference == "incremental":
        state = circuit.initial(drive)
        for _ in range(options.steps):
            state = circuit.step(state, drive, options.dt)
            yield _seen(circuit, state, drive)
    else:
        method = Euler(options.dt, allow_unstable=True)
        steps = options.steps
        found = solve(circuit, clamped, method=method, tolerance=0.0, max_steps=steps, every=steps)
        yield _seen(circuit, found.state, drive)


def _seen(circuit: PredictiveCoding, state: Any, drive: Drive) -> Moment:
    values = circuit.values(state, drive)
    return values, circuit.errors(values, drive)


def _fixed(circuit: PredictiveCoding, clamped: dict[str, Tensor]) -> Moment:
    fixed = FixedPrediction(circuit)
    # With time steps of 1 the errors are exact after as many steps as there are layers.
    depth = len(circuit.free)
    found = solve(fixed, clamped, method=Euler(1.0), tolerance=0.0, max_steps=depth, every=depth)
    values = dict(zip(circuit.layers, found.drive.samples, strict=False))
    return values, fixed.errors(found.state, found.drive)
