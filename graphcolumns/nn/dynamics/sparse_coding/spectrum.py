"""The largest eigenvalue of a symmetric operator that is known by its products alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.states import as_rows


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor], like: Tensor, dim: int = 0, steps: int = 48
) -> Tensor:
    """Largest eigenvalue of a symmetric operator, one for each sample, ``[B]``.

    Lanczos iterations with full reorthogonalisation, from the same start for all samples. The
    largest Ritz value plus the norm of its residual is returned: exact after as many steps as there
    are numbers, and in practice an upper bound that is tight to a few digits.

    Args:
        product: Function that applies the operator to a tensor of the shape of ``like``.
        like: Tensor that has the shape, dtype and device of a state.
        dim: Dimension of samples.
        steps: Most iterations, each of them one product.

    Source: Parlett, The symmetric eigenvalue problem, SIAM 1998, chapter 13,
    https://doi.org/10.1137/1.9781611971163.
    """
    flat = as_rows(like, dim)
    shape = like.movedim(dim, 0).shape
    steps = min(steps, flat.shape[1])

    def apply(rows: Tensor) -> Tensor:
        return as_rows(product(rows.reshape(shape).movedim(0, dim)), dim)

    # The operator may be a restriction to some units: begin inside its range.
    vector = apply(_start(flat))
    basis: list[Tensor] = []
    diagonal: list[Tensor] = []
    side: list[Tensor] = []
    scale = torch.linalg.vector_norm(vector, dim=1)
    for _ in range(steps):
        vector = vector / torch.where(scale > 0, scale, torch.ones_like(scale))[:, None]
        basis.append(vector)
        image = apply(vector)
        diagonal.append((vector * image).sum(1))
        known = torch.stack(basis, 1)
        # Twice is enough to be orthogonal to rounding.
        for _ in range(2):
            image = image - (known.mT @ (known @ image[..., None])).squeeze(-1)
        norm = torch.linalg.vector_norm(image, dim=1)
        rounding = 1e2 * torch.finfo(norm.dtype).eps * torch.stack(diagonal).abs().amax(0)
        scale = torch.where(norm > rounding, norm, torch.zeros_like(norm))
        vector = torch.where(scale[:, None] > 0, image, torch.zeros_like(image))
        side.append(scale)
    return _largest_ritz(torch.stack(diagonal, 1), torch.stack(side, 1))


def _start(flat: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    row = torch.randn(flat.shape[1], generator=generator, dtype=torch.float64)
    return row.to(flat.dtype).to(flat.device).expand_as(flat)


def _largest_ritz(diagonal: Tensor, side: Tensor) -> Tensor:
    between = torch.diag_embed(side[:, :-1], 1)
    values, vectors = torch.linalg.eigh(torch.diag_embed(diagonal) + between + between.mT)
    # The last side is what the iterations leave over.
    return values[:, -1] + side[:, -1] * vectors[:, -1, -1].abs()
