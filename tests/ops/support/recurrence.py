"""A small recurrence with one set of weights, for the tests of untied_linear."""

from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns import untied_linear
from graphcolumns.ops.untied_linear import steps


class Case(NamedTuple):
    x: Tensor  # [N, B, C]
    weight: Tensor  # [N, C, C]
    bias: Tensor | None  # [N, C]

    @property
    def inputs(self) -> list[Tensor]:
        return [tensor for tensor in self if tensor is not None]


def draw(
    dtype: torch.dtype = torch.float64,
    with_bias: bool = True,
    columns: int = 4,
    batch: int = 2,
    channels: int = 8,
) -> Case:
    weight = torch.randn(columns, channels, channels, dtype=dtype) / channels**0.5
    bias = torch.randn(columns, channels, dtype=dtype) if with_bias else None
    x = torch.randn(columns, batch, channels, dtype=dtype)
    return Case(*(None if t is None else t.requires_grad_() for t in (x, weight, bias)))


def recur(case: Case, handles: list, backend: str = "auto") -> Tensor:
    x = case.x
    for step in handles:
        chosen = backend if step is None else "auto"  # a handle has its own
        x = torch.tanh(untied_linear(x, case.weight, case.bias, step=step, backend=chosen))
    return x


def gradients(case: Case, y: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    return list(torch.autograd.grad(y, case.inputs, torch.randn_like(y), allow_unused=True))


def assert_close(got: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for x, y in zip(got, expected, strict=True):
        assert x.dtype == y.dtype
        assert (x - y).abs().max() <= tolerance * y.abs().max()


def unroll(case: Case, count: int, backend: str = "auto") -> list[steps.Step]:
    """Handles that do gather their gradients: a silent fall-back fails the test."""
    batch = case.x.shape[1]
    handles = untied_linear.unroll(case.weight, case.bias, count, batch, backend=backend)
    assert all(handle.batched for handle in handles)
    return handles
