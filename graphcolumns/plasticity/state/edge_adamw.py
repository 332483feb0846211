"""AdamW with a step count of its own for every edge."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW

from graphcolumns.plasticity.state.carry import check_edges, label_edges, label_group


class EdgeAdamW(AdamW):
    r"""AdamW in which every edge counts its own steps.

    In a parameter group with ``edges=True`` the step count ``t`` is a tensor ``[E]``, and

    .. math::
        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        p &\leftarrow (1 - \eta\lambda)\, p
        - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    with ``t`` of that edge. So a newborn whose state ``carry`` set to 0 takes exactly the steps of
    a fresh AdamW. With one count for all edges, its moments would be divided by the bias correction
    of an old edge, and with betas (0.9, 0.999) its steps would reach 6.6 times the learning rate.
    While no edge is newborn the steps are those of ``torch.optim.AdamW``. Other groups are stepped
    by ``torch.optim.AdamW`` itself; ``fused``, ``foreach`` and ``capturable`` concern only them.

    Args:
        params: Parameters or groups; the first dimension of the parameters of a group with
            ``edges=True`` is that of the edges, see ``edge_parameters``.
        lr: Learning rate.
        betas: Decay of both moments per step.
        eps: Number added to the root of the second moment.
        weight_decay: Decoupled decay per step and unit of learning rate.
        amsgrad: Whether to divide by the largest second moment so far.
        **options: Further options of ``torch.optim.AdamW``.

    Raises:
        ValueError: Options out of range, or a group with ``edges=True`` holds a parameter without
            dimensions.

    Source: Loshchilov & Hutter, Decoupled weight decay regularization, ICLR 2019; Kingma & Ba,
    Adam, ICLR 2015, for the bias correction.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; ``edges=True`` if they are per edge."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group.setdefault("edges", False) and any(p.ndim == 0 for p in group["params"]):
            raise ValueError(
                "a group with edges=True holds parameters [E, ...]. Got one without dimensions."
            )

    def state_dict(self) -> dict[str, Any]:
        """As of AdamW; the moments of a parameter per edge say to which edges they belong."""
        label_edges(self)
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of another run, that of ``torch.optim.AdamW`` included.

        Which groups are per edge stays as it was made here; a single step count becomes that of
        every edge.

        Raises:
            ValueError: The moments belong to other edges than the parameters here.
        """
        check_edges(self, state_dict)
        edges = [group["edges"] for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, mine in zip(self.param_groups, edges, strict=True):
            group["edges"] = mine

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every parameter that has a gradient.

        Args:
            closure: Function that evaluates the model again and returns the loss, which is then
                returned.

        Raises:
            ValueError: The edges of a parameter have changed and its moments were not carried.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = [group for group in self.param_groups if group["edges"]]
        held = [(p, p.grad) for group in groups for p in group["params"]]
        for p, _ in held:  # parameters without a gradient are left alone
            p.grad = None
        # Once a plain AdamW exists, torch has wrapped its step to call hooks; ours calls them.
        step: Callable[[Any], Any] = getattr(AdamW.step, "__wrapped__", AdamW.step)
        try:
            step(self) if getattr(AdamW.step, "hooked", False) else super().step()
        finally:
            for p, grad in held:
                p.grad = grad
        for group in groups:
            label_group(self, group)  # refuses moments that were left behind
            for p in group["params"]:
                if p.grad is not None and not self._overflown():
                    self._step(p, self._unscaled(p.grad), group)
            label_group(self, group)
        return loss

    def _overflown(self) -> bool:
        """Whether loss scaling found a gradient that is not finite; then nothing is stepped."""
        found = getattr(self, "found_inf", None)
        return found is not None and bool(found)

    def _unscaled(self, grad: Tensor) -> Tensor:
        """The gradient, where loss scaling leaves the division to the optimizer (``fused``)."""
        scale = getattr(self, "grad_scale", None)
        return grad if scale is None else grad / scale.to(grad.device)

    def _step(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        if grad.is_sparse:
            raise ValueError("EdgeAdamW needs dense gradients. Got a sparse one.")
        state, (beta1, beta2) = self._edge_state(p, group), group["betas"]
        grad = -grad if group["maximize"] else grad
        state["step"] += 1
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        second = state["exp_avg_sq"]
        if group["amsgrad"]:
            second = state["max_exp_avg_sq"] = torch.maximum(state["max_exp_avg_sq"], second)
        rows = (-1, *[1] * (p.ndim - 1))
        first_correction = _correction(beta1, state["step"]).to(p.dtype).view(rows)
        second_correction = _correction(beta2, state["step"]).sqrt().to(p.dtype).view(rows)
        root = (second.sqrt() / second_correction).add_(group["eps"])
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.sub_(state["exp_avg"] * (group["lr"] / first_correction) / root)

    def _edge_state(self, p: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = self.state[p]
        if not state:
            state["step"] = torch.zeros(len(p), dtype=torch.float32, device=p.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(p)
        # Loading leaves step counts where the file was read; a state of AdamW has one for all.
        state["step"] = state["step"].to(p.device).expand(len(p)).contiguous()
        return state


def _correction(beta: float, steps: Tensor) -> Tensor:
    """``1 - beta^t`` in float64: in float32 the first steps would lose half their digits."""
    log = math.log(beta) if beta > 0 else -math.inf
    return -torch.expm1(steps.double() * log)
