"""One linear map per column: signature, mathematics, checks, dispatch, and its recurrent form."""

from torch import Tensor

from graphcolumns.ops.backend import kernel_runs, takes_kernel
from graphcolumns.ops.context import transformed
from graphcolumns.ops.untied_linear import reference
from graphcolumns.ops.untied_linear.op import untied_linear_op
from graphcolumns.ops.untied_linear.steps import Step, step_linear, take, unroll

__all__ = ["Step", "untied_linear"]


def untied_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    step: Step | None = None,
    backend: str = "auto",
) -> Tensor:
    r"""Applies its own linear map to every column.

    .. math::
        y_n = x_n W_n + b_n

    Args:
        x: ``[N, B, Cin]``.
        weight: ``[N, Cin, Cout]``.
        bias: ``[N, Cout]``.
        step: A handle of ``untied_linear.unroll`` when the same weights are applied again and
            again: the gradients of ``weight`` and ``bias`` are then computed once over all steps.
        backend: ``"reference"`` (the batched products of torch), ``"cpp"`` (kernels for few inputs
            per column, on a CPU, in float32 and float64; half precisions are left to torch), or
            ``"auto"``: ``"cpp"`` on a CPU for at least 64 columns and ``2 ** 20`` weights. A handle
            has that of ``untied_linear.unroll``.

    Returns:
        ``[N, B, Cout]``.

    Raises:
        ValueError: Shapes that do not fit, a handle for another batch size or other weights, an
            unknown ``backend``, one beside a handle, or ``"cpp"`` on another device than the CPU.
        ImportError: ``backend="cpp"`` without a compiler.
        RuntimeError: A handle that was used before.

    Example:
        >>> import torch
        >>> from graphcolumns import untied_linear
        >>> untied_linear(torch.ones(3, 2, 4), torch.ones(3, 4, 5)).shape
        torch.Size([3, 2, 5])
    """
    _check(x, weight, bias)
    if step is not None:
        if backend != "auto":
            raise ValueError(
                "a handle has the backend that it was made with: give it to "
                f"untied_linear.unroll(..., backend={backend!r}), not beside step"
            )
        take(step, x, weight)
        if step.batched and not transformed():
            return step_linear(x, step)
    fused = takes_kernel(backend, weight) if step is None else step.fused
    if fused and kernel_runs(weight, x, bias):
        return untied_linear_op(x, weight, bias)
    return reference.forward(x, weight, bias)


def _check(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    if x.dim() != 3 or weight.dim() != 3:
        raise ValueError(
            "x must be [N, B, Cin] and weight [N, Cin, Cout], "
            f"got {list(x.shape)} and {list(weight.shape)}"
        )
    if x.shape[0] != weight.shape[0] or x.shape[2] != weight.shape[1]:
        raise ValueError(
            f"x [N, B, Cin] must be [{weight.shape[0]}, B, {weight.shape[1]}] to fit the weights, "
            f"got {list(x.shape)}"
        )
    if bias is not None and bias.shape != (weight.shape[0], weight.shape[2]):
        raise ValueError(
            f"bias must be [N, Cout] = [{weight.shape[0]}, {weight.shape[2]}], "
            f"got {list(bias.shape)}"
        )


untied_linear.unroll = unroll  # type: ignore[attr-defined]
