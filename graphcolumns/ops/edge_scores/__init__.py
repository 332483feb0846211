"""What edges are worth, and what they would be: signature, mathematics, checks, dispatch."""

import math

import torch
from torch import Tensor

from graphcolumns.ops import kernels, tiles
from graphcolumns.ops.backend import CPP_FROM, check_scatter, check_triton, has_triton
from graphcolumns.ops.context import as_given
from graphcolumns.ops.edge_scores import checks, cpp, reference, scatter, triton
from graphcolumns.ops.edge_scores.sums import EdgeScores

__all__ = ["EdgeScores", "edge_scores"]

KERNELS = {
    "reference": reference.edge_scores,
    "scatter": scatter.edge_scores,
    "cpp": cpp.edge_scores,
    "triton": triton.edge_scores,
}


@torch.no_grad()
def edge_scores(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lse: Tensor,
    out: Tensor,
    grad_out: Tensor,
    targets: Tensor,
    sources: Tensor,
    *,
    bias: Tensor | None = None,
    sole: Tensor | None = None,
    scale: float | None = None,
    chunk: int | None = None,
    slice_size: int | None = None,
    backend: str = "auto",
) -> EdgeScores:
    r"""Effects of deleting and of inserting edges on the loss, for any list of pairs.

    With the score :math:`s_{ij} = \mathrm{scale} \cdot q_i^\top k_j + \mathrm{bias}_{ij}`, the
    ratio :math:`\rho = e^{s_{ij} - \mathrm{lse}_i}` and the gradient
    :math:`g_i = \partial L / \partial \mathrm{out}_i`, softmax attention obeys exactly

    .. math::
        \text{inserting } (i, j): \quad
        & \mathrm{out}_i \to \mathrm{out}_i + a\, (v_j - \mathrm{out}_i), \qquad
          a = \frac{\rho}{1 + \rho} = \sigma(s_{ij} - \mathrm{lse}_i) \\
        \text{deleting } (i, j): \quad
        & \mathrm{out}_i \to \mathrm{out}_i - \frac{p}{1 - p}\, (v_j - \mathrm{out}_i), \qquad
          p = \rho.

    So with the advantage :math:`A_{ij} = g_i^\top v_j - g_i^\top \mathrm{out}_i` the loss changes
    to first order by :math:`a A` or :math:`-\frac{p}{1-p} A`; only the loss is linearised. Both are
    summed over the steps and heads of a sample to its :math:`u_b` before
    :math:`\sum_b u_b` and :math:`\sum_b u_b^2` are formed: the second moment is Fisher's
    approximation of the curvature, :math:`\Delta L \approx \mathrm{E}[u] + \mathrm{E}[u^2] / 2`
    for losses that are negative log likelihoods. Mass cannot be negative, so insertion is
    one-sided: grow only where :math:`\sum_b u_b < 0`. :class:`EdgeScores` lists all that is
    returned.

    Where there is no other edge:

    - A column without in-edges (``lse = -inf``, ``out = 0``) would give its first edge all its
      attention: ``a = 1``. The gate has no derivative there; :math:`\rho` is clipped at
      10\ :sup:`6`, everywhere.
    - :math:`1 - p` is clipped at 10\ :sup:`-6`. Deleting the only in-edge leaves nothing to
      attend to: its effect is that of ``out = 0``, :math:`-g_i^\top \mathrm{out}_i`, for pairs
      marked ``sole`` (``p`` alone cannot tell the only edge from one that got all attention).

    Nothing of size N x M or P x B is made: memory beside the inputs is
    ``O(P + chunk * slice_size * H * D)``, in ``cpp`` and ``triton`` ``O(P + T N B H)``; only
    ``scatter``, a peer to measure against, gathers all pairs. A pair may be listed twice. Half
    precisions are summed in float32. The result is not differentiable.

    Args:
        q: Queries of ``T`` steps ``[T, N, B, H, D]``, or ``[T, N, 1, H, D]``.
        k: Keys ``[T, M, B, H, D]``.
        v: Values ``[T, M, B, H, Dv]``.
        lse: Normaliser of attention along the present edges, ``[T, N, B, H]``. It is rounded:
            a float32 ``lse`` of 16 makes masses wrong by a millionth, one of 1e4 by a thousandth.
            Where large biases are the cause, subtract the same constant from all biases of a
            column before attention and here, as
            :func:`graphcolumns.plasticity.probe.trace.trace` does.
        out: Output of the same attention, ``[T, N, B, H, Dv]``.
        grad_out: Gradient of the loss of *each sample* with respect to its ``out``: that of the
            sum of the losses, not of their mean.
        targets: Target of each pair, ``[P]`` int32 or int64.
        sources: Source of each pair, ``[P]``. Pairs are faster in the order of edges, by target.
        bias: Bias of each pair: the learned one of an edge, that of a newborn for a candidate,
            ``[P]``, ``[P, H]`` or ``[T, P, H]``.
        sole: Mask ``[P]``, bool, of the pairs that are the only in-edge of their target.
        scale: Scaling factor of the dot products (default: ``D ** -0.5``).
        chunk: Pairs at a time in the reference (default: by memory).
        slice_size: Samples at a time in the reference (default: 16).
        backend: ``"reference"``, ``"scatter"`` (torch-scatter), ``"cpp"`` (CPU, float32 and
            float64), ``"triton"`` (CUDA; other types than float32, bfloat16 and float16 take the
            reference), or ``"auto"``: ``cpp`` for large calls and ``triton``, where they run.

    Returns:
        :class:`EdgeScores`, at least float32. Sums of several calls for the same pairs add up.

    Raises:
        ValueError: Shapes, ids or devices that do not fit, or an unknown backend.
        TypeError: Ids that are not integers, values that are not floating, or a dtype that ``cpp``
            does not have.
        ImportError: ``backend="cpp"`` without a compiler, ``scatter`` without torch-scatter, or
            ``triton`` without triton.

    Example:
        >>> import torch
        >>> from graphcolumns import ColumnGraph, column_attention
        >>> from graphcolumns.ops import edge_scores
        >>> graph = ColumnGraph.from_edge_index(torch.tensor([[0, 1, 1], [0, 0, 1]]), 2)
        >>> q = k = v = torch.ones(2, 1, 1, 4)
        >>> attention = column_attention(q, k, v, graph)
        >>> steps = [x[None] for x in (q, k, v, attention.lse, attention.out, torch.ones_like(v))]
        >>> pairs = torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0])  # two edges, a candidate
        >>> edge_scores(*steps, *pairs).mass[:2]
        tensor([0.5000, 0.5000])
    """
    checks.check(
        q, k, v, lse, out, grad_out, targets, sources, bias, sole, chunk, slice_size
    )  # fmt: skip
    kernel = KERNELS[_choose(backend, q, v, len(targets))]
    scale = 1.0 / math.sqrt(q.shape[-1]) if scale is None else float(scale)
    with as_given(q):
        sums = kernel(
            q, k, v, lse, out, grad_out, targets, sources, bias, sole, scale, chunk, slice_size
        )
    return EdgeScores.of(k.shape[2], sums)


def _choose(backend: str, q: Tensor, v: Tensor, pairs: int) -> str:
    """The name of a kernel that can run."""
    if backend not in ("auto", *KERNELS):
        raise ValueError(f"backend must be 'auto' or one of {tuple(KERNELS)}, got {backend!r}")
    if backend == "cpp" and q.device.type != "cpu":
        raise ValueError(f"backend='cpp' runs on the CPU, got tensors on {q.device}")
    if backend == "cpp" and q.dtype not in kernels.DTYPES:
        raise TypeError(f"backend='cpp' takes float32 and float64, got {q.dtype}: use 'reference'")
    if backend == "scatter":
        check_scatter()
    if backend == "triton":
        check_triton(q.device, "tensors are")
    if backend != "auto":
        return backend
    if q.device.type == "cuda" and q.dtype in tiles.DTYPES and has_triton():
        return "triton"
    fits = q.device.type == "cpu" and q.dtype in kernels.DTYPES
    large = pairs * q.shape[0] * v.shape[2:].numel() >= CPP_FROM
    return "cpp" if fits and large and kernels.ready() else "reference"
