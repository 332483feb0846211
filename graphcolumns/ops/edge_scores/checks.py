"""What edge_scores requires of its arguments, with errors that say it."""

import torch
from torch import Tensor


def check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lse: Tensor,
    out: Tensor,
    grad_out: Tensor,
    targets: Tensor,
    sources: Tensor,
    bias: Tensor | None,
    sole: Tensor | None,
    chunk: int | None,
    slice_size: int | None,
) -> None:
    """Raises ValueError or TypeError when the arguments do not fit; see edge_scores."""
    _check_steps(q, k, v, lse, out, grad_out)
    check_pairs(targets, sources, q.shape[1], k.shape[1])
    _check_bias(bias, len(targets), q.shape[0], q.shape[3])
    if sole is not None and (sole.dtype != torch.bool or sole.shape != targets.shape):
        raise ValueError(
            f"sole must hold one bool per pair, [P] = [{len(targets)}], "
            f"got {list(sole.shape)} of {sole.dtype}"
        )
    for name, value in (("chunk", chunk), ("slice_size", slice_size)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    tensors = {"k": k, "v": v, "lse": lse, "out": out, "grad_out": grad_out}
    tensors |= {"targets": targets, "sources": sources}
    tensors |= {n: x for n, x in (("bias", bias), ("sole", sole)) if x is not None}
    for name, tensor in tensors.items():
        if tensor.device != q.device:
            raise ValueError(f"{name} must be on the device of q, {q.device}, got {tensor.device}")


def check_pairs(targets: Tensor, sources: Tensor, num_columns: int, num_sources: int) -> None:
    """Pairs are two lists of ids of the same length, in range."""
    if targets.dim() != 1 or targets.shape != sources.shape:
        raise ValueError(
            "targets and sources must be two lists of the same length, [P], "
            f"got {list(targets.shape)} and {list(sources.shape)}"
        )
    for name, ids, count in (("targets", targets, num_columns), ("sources", sources, num_sources)):
        if ids.dtype not in (torch.int32, torch.int64):
            raise TypeError(f"{name} must be int32 or int64 ids, got {ids.dtype}")
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < count:
            raise ValueError(
                f"{name} must be ids from 0 to {count - 1}, "
                f"got ids from {int(ids.min())} to {int(ids.max())}"
            )


def _check_steps(
    q: Tensor, k: Tensor, v: Tensor, lse: Tensor, out: Tensor, grad_out: Tensor
) -> None:
    if q.dim() != 5 or k.dim() != 5 or v.dim() != 5:
        raise ValueError(
            "q, k, v must be [T, N, B, H, D], [T, M, B, H, D], [T, M, B, H, Dv] (steps first), "
            f"got {list(q.shape)}, {list(k.shape)}, {list(v.shape)}. For a single step call "
            "q[None], ..."
        )
    steps, columns, _, heads, _ = q.shape
    if not (steps and heads and q.shape[4]):
        raise ValueError(f"q must have at least one step, head and channel, got {list(q.shape)}")
    batch, wide = k.shape[2], v.shape[4]
    expected = {
        "q": (q, (steps, columns, q.shape[2], *k.shape[3:])),
        "k": (k, (steps, k.shape[1], batch, heads, q.shape[4])),
        "v": (v, (steps, k.shape[1], batch, heads, wide)),
        "lse": (lse, (steps, columns, batch, heads)),
        "out": (out, (steps, columns, batch, heads, wide)),
        "grad_out": (grad_out, (steps, columns, batch, heads, wide)),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must be {list(shape)}, got {list(tensor.shape)}")
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating, got {tensor.dtype}")
    if q.shape[2] not in (1, batch):
        raise ValueError(f"q must have a batch of 1 or {batch} like k, got {q.shape[2]}")


def _check_bias(bias: Tensor | None, pairs: int, steps: int, heads: int) -> None:
    shapes = ((pairs,), (pairs, heads), (steps, pairs, heads))
    if bias is not None and tuple(bias.shape) not in shapes:
        raise ValueError(
            f"bias must hold one value per pair, [P] = [{pairs}], [P, H] = [{pairs}, {heads}] or "
            f"[T, P, H] = [{steps}, {pairs}, {heads}], got {list(bias.shape)}"
        )
    if bias is not None and not bias.is_floating_point():
        raise TypeError(f"bias must be floating, got {bias.dtype}: call bias.float()")
