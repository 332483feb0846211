"""The states of a trained sheet of columns as tokens."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from graphcolumns.data.features.join_layers import join_layers


class ColumnFeatures(nn.Module):
    """A model of columns whose states after some steps are the tokens, one token per column.

    Read a run folder by ``graphcolumns.load(run).model``: its columns are in the user's order, and
    so are the tokens. A model that keeps its columns in another order needs ``permutation``.

    Args:
        model: Model whose ``forward(images, return_states=True)`` returns ``states``
            ``[T, N, B, C]``, such as a ``Columnformer``.
        steps: Steps after which states are read: 1 is the first, -1 the last.
        columns: User's ids of the columns to keep, ``[K]`` int64, in the order of the tokens
            (default: all).
        permutation: User's id of each column of the model, ``[N]`` int64 (default: the model is in
            the user's order).
        frozen: Whether the model stays in evaluation mode and gets no gradient.

    Shapes:
        - input: images ``[B, channels, Y, X]``
        - output: tokens ``[B, S * N, C]`` for ``S`` steps, one step after the other

    Raises:
        TypeError: A model without ``return_states``, or ids that are not int64.
        ValueError: No step, a step that the model does not reach, or ids of other columns.
    """

    permutation: Tensor | None
    columns: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        steps: int | Sequence[int] = -1,
        *,
        columns: Tensor | None = None,
        permutation: Tensor | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        if "return_states" not in inspect.signature(model.forward).parameters:
            raise TypeError(
                "model must have forward(images, return_states=True), such as a Columnformer. Got "
                f"{type(model).__name__} without it."
            )
        _check_ids("columns", columns)
        _check_ids("permutation", permutation)
        if permutation is not None and not permutation.sort().values.equal(
            torch.arange(len(permutation))
        ):
            raise ValueError(
                f"permutation must hold every id from 0 to {len(permutation) - 1} once. Got "
                f"{permutation.tolist()[:8]}."
            )
        depth = getattr(model, "depth", None)
        self.steps = _resolved(steps, depth if isinstance(depth, int) else None)
        self.layers = tuple(f"step{step}" for step in self.steps)
        self.register_buffer("columns", columns)
        self.register_buffer("permutation", permutation)
        self.frozen, self.model = frozen, model
        self.train(self.training)

    def train(self, mode: bool = True) -> ColumnFeatures:
        """Sets the mode; a frozen model stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The states after every step as tokens ``[B, N, C]``, by ``"step1"``, ``"step2"``, ..."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            states = self.model(images, return_states=True).states
            if states is None:
                raise TypeError(
                    f"{type(self.model).__name__} must return states [T, N, B, C] with "
                    "return_states=True. Got None."
                )
            _resolved(self.steps, len(states))
            states = states.index_select(1, self._places(states.shape[1], states.device))
            return {
                name: states[step - 1 if step > 0 else step].transpose(0, 1)
                for name, step in zip(self.layers, self.steps, strict=True)
            }

    def forward(self, images: Tensor) -> Tensor:
        """The states after all steps as tokens ``[B, S * N, C]``."""
        return join_layers(self.features(images))

    def described(self) -> dict[str, Any]:
        """What is read, as values that JSON has; weights and order of columns apart."""
        return {"layers": self.layers, "steps": self.steps}

    def _places(self, count: int, device: torch.device) -> Tensor:
        """Position in the model of every column that is kept."""
        order = self.permutation
        if order is not None and len(order) != count:
            raise ValueError(
                f"permutation must have an id for each of {count} columns. Got {len(order)}."
            )
        places = torch.arange(count, device=device) if order is None else order.argsort()
        if self.columns is None:
            return places
        if int(self.columns.max()) >= count:
            raise ValueError(f"columns must be ids in [0, {count}). Got {int(self.columns.max())}.")
        return places[self.columns]


def _resolved(steps: int | Sequence[int], depth: int | None) -> tuple[int, ...]:
    """Steps counted from 1, where the number of steps is given."""
    several = (steps,) if isinstance(steps, int) else tuple(steps)
    limit = max(map(abs, several), default=0) if depth is None else depth
    if not several or any(step == 0 or abs(step) > limit for step in several):
        raise ValueError(
            f"steps must be in 1, ..., {depth or 'the depth of the model'}, or negative from the "
            f"end. Got {', '.join(map(str, several)) or 'none'}."
        )
    if depth is not None:
        several = tuple(step if step > 0 else depth + 1 + step for step in several)
    if len(set(several)) != len(several):
        raise ValueError(f"steps must be different. Got {', '.join(map(str, several))}.")
    return several


def _check_ids(name: str, ids: Tensor | None) -> None:
    if ids is None:
        return
    if not torch.is_tensor(ids) or ids.dtype != torch.int64:
        got = ids.dtype if torch.is_tensor(ids) else type(ids).__name__
        raise TypeError(f"{name} must be an int64 tensor. Got {got}.")
    if ids.ndim != 1 or not len(ids) or int(ids.min()) < 0:
        raise ValueError(
            f"{name} must be ids of columns, shape [K], at least one and none below 0. Got shape "
            f"{tuple(ids.shape)}."
        )
