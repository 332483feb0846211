"""Linear centred kernel alignment: how alike two representations of the same samples are."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.analysis.function.model_states import ModelStates

# A variance below so much of the mean square is rounding.
ROUNDING = 1e-20


def linear_cka(x: Tensor, y: Tensor, *, unbiased: bool = False) -> float:
    r"""Similarity of two representations, invariant to rotation and scale.

    .. math::
        \mathrm{CKA} = \frac{\lVert Y^\top X \rVert_F^2}
        {\lVert X^\top X \rVert_F \lVert Y^\top Y \rVert_F}

    with centred features. For independent Gaussians of ``P`` and ``Q`` features the expectation is
    not 0 but about :math:`\sqrt{P Q / ((S + P) (S + Q))}`, near 1 for fewer samples than features.
    With ``unbiased=True`` each of the three products is the estimate of HSIC without bias, which
    leaves the diagonal of the Gram matrices out; the result is then around 0 and may be negative.

    Args:
        x: Features of ``S`` samples, ``[S, P]``; more dimensions are taken as features.
        y: Features of the same samples, ``[S, Q]``.
        unbiased: Whether to take the estimate without bias; it needs at least 4 samples.

    Returns:
        At most 1; NaN if one of the two is constant over samples.

    Raises:
        ValueError: Other numbers of samples, or values that are not finite.

    Source: Kornblith et al., Similarity of neural network representations revisited, ICML 2019,
    https://arxiv.org/abs/1905.00414; Song et al., Feature selection via dependence maximization,
    JMLR 13 (2012), https://jmlr.org/papers/v13/song12a.html.
    """
    left, right = _centred("x", x.flatten(1)[None]), _centred("y", y.flatten(1)[None])
    return float(_alignment(left, right, unbiased))


def cka_matrix(
    states: ModelStates,
    others: ModelStates | None = None,
    *,
    step: int = -1,
    unbiased: bool = False,
) -> Tensor:
    """Linear CKA of every column with every column, of one model or of two.

    Args:
        states: States of ``N`` columns.
        others: States of ``M`` columns for the same samples (default: ``states``).
        step: Number of the step, as in ``ModelStates.at``.
        unbiased: Whether to take the estimate without bias, see :func:`linear_cka`.

    Returns:
        ``[N, M]`` float64, rows for ``states``; NaN for columns that are constant over samples.

    Raises:
        ValueError: Other numbers of samples, or no such step.
    """
    left = _centred("states", states.at(step))
    right = left if others is None else _centred("others", others.at(step))
    return _alignment(left, right, unbiased)


def _centred(name: str, values: Tensor) -> Tensor:
    """Features ``[N, S, C]`` float64 with mean 0; exactly 0 if they are constant."""
    if not bool(values.isfinite().all()):
        raise ValueError(f"{name} must be finite. Got NaN or infinity; leave these samples out.")
    values = values.double()
    centred = values - values.mean(1, keepdim=True)
    constant = centred.square().mean((1, 2)) <= ROUNDING * values.square().mean((1, 2))
    return centred.masked_fill(constant[:, None, None], 0.0)


def _alignment(left: Tensor, right: Tensor, unbiased: bool) -> Tensor:
    """``[N, M]`` of features ``[N, S, P]`` and ``[M, S, Q]``."""
    least, samples = (4 if unbiased else 2), left.shape[1]
    if right.shape[1] != samples or samples < least:
        raise ValueError(
            f"both must be of the same samples, at least {least}. Got {samples} and "
            f"{right.shape[1]}."
        )
    product = _unbiased if unbiased else _biased
    both = torch.stack([product(one, right) for one in left])
    selfs = [torch.stack([product(one, one[None])[0] for one in part]) for part in (left, right)]
    norm = (selfs[0].clamp(min=0)[:, None] * selfs[1].clamp(min=0)).sqrt()
    return torch.where(norm > 0, both / norm, torch.nan)


def _biased(x: Tensor, others: Tensor) -> Tensor:
    """The squared norm of the products of features ``[S, P]`` with ``[M, S, Q]``, ``[M]``."""
    return (x.T @ others).square().sum((1, 2))


def _unbiased(x: Tensor, others: Tensor) -> Tensor:
    """HSIC without bias times ``S (S - 3)``, ``[M]``, without forming Gram matrices."""
    n = len(x)
    own, theirs = x.square().sum(-1), others.square().sum(-1)
    trace = _biased(x, others) - theirs @ own
    # Features are centred, so rows of a Gram matrix sum to 0 and to minus the diagonal without it.
    sums = own.sum() * theirs.sum(1) / ((n - 1) * (n - 2))
    return trace + sums - 2 / (n - 2) * (theirs @ own)
