"""Growth scores from what columns do: co-activation and homeostasis."""

import math

import torch
from torch import Tensor

CURVES = ("linear", "gaussian", "sigmoid")


def hebbian(activity: Tensor, targets: Tensor, sources: Tensor, chunk: int = 2**16) -> Tensor:
    r"""Columns that are active together, :math:`G = \mathrm{corr}_b(r_i, r_j)`.

    Pearson's correlation; a column that never changes correlates with none (0). After Hebb 1949;
    growth by correlation in sparse training: Dai et al. 2019 (https://arxiv.org/abs/1711.02017).

    Args:
        activity: ``[N, R]``, one number per column and sample, such as
            ``output.state.norm(dim=-1)``; columns are targets and sources alike.
        targets: ``[P]``.
        sources: ``[P]``.
        chunk: Pairs at a time; memory is ``O(N R + chunk R)``.

    Returns:
        ``[P]``, in [-1, 1].
    """
    if activity.dim() != 2:
        raise ValueError(f"activity must be [N, R], got {list(activity.shape)}")
    centred = activity - activity.mean(1, keepdim=True)
    norm = centred.norm(dim=1, keepdim=True)
    # What rounding leaves of a constant is no activity.
    constant = norm <= 1e-6 * activity.norm(dim=1, keepdim=True)
    unit = torch.where(constant, 0.0, centred / norm.masked_fill(constant, 1.0))
    parts = [
        (unit.index_select(0, i) * unit.index_select(0, j)).sum(1)
        for i, j in zip(targets.split(chunk), sources.split(chunk), strict=True)
    ]
    return torch.cat(parts)


def growth_curve(
    calcium: Tensor,
    target: float,
    rate: float = 1.0,
    curve: str = "linear",
    minimum: float = 0.0,
    width: float = 0.1,
) -> Tensor:
    r"""How fast a column grows or retracts the ends of edges, :math:`dz_i`.

    With the activity :math:`Ca`, the set point :math:`\epsilon` and the rate :math:`\nu`:

    - ``linear``: :math:`\nu (1 - Ca / \epsilon)`;
    - ``gaussian``: :math:`\nu (2 e^{-((Ca - \xi) / \zeta)^2} - 1)`, zero at the minimum
      :math:`\eta` and at :math:`\epsilon`: :math:`\xi = (\eta + \epsilon) / 2`,
      :math:`\zeta = (\epsilon - \eta) / (2 \sqrt{\ln 2})`;
    - ``sigmoid``: :math:`\nu (2 / (1 + e^{(Ca - \epsilon) / \psi}) - 1)`.

    Butz & van Ooyen 2013 (https://doi.org/10.1371/journal.pcbi.1003259); Diaz-Pier et al. 2016
    (https://doi.org/10.3389/fnana.2016.00057).

    Args:
        calcium: ``[N]``, a moving average of the activity.
        target: :math:`\epsilon`.
        rate: :math:`\nu`, ends per update.
        curve: One of the above.
        minimum: :math:`\eta`.
        width: :math:`\psi`.

    Returns:
        ``[N]``, to be added to the number of ends of every column.
    """
    if curve not in CURVES:
        raise ValueError(f"curve must be one of {CURVES}, got {curve!r}")
    if curve == "linear":
        return rate * (1.0 - calcium / target)
    if curve == "sigmoid":
        return rate * (2.0 * torch.sigmoid((target - calcium) / width) - 1.0)
    middle, spread = (minimum + target) / 2, (target - minimum) / (2 * math.sqrt(math.log(2)))
    return rate * (2.0 * torch.exp(-(((calcium - middle) / spread) ** 2)) - 1.0)


def homeostatic(
    synaptic_elements_in: Tensor,
    synaptic_elements_out: Tensor,
    in_degree: Tensor,
    out_degree: Tensor,
    targets: Tensor,
    sources: Tensor,
    log_kernel: Tensor | None = None,
) -> Tensor:
    r"""Free ends that could meet, :math:`G = \max(z^-_i - k_i, 0) \max(z^+_j - k_j, 0)\, k(d)`.

    Only whole ends count. The pairing of Butz & van Ooyen 2013
    (https://doi.org/10.1371/journal.pcbi.1003259) as a score; drawing with probability G is theirs.

    Args:
        synaptic_elements_in: :math:`z^-` ``[N]``, grown by :func:`growth_curve`.
        synaptic_elements_out: :math:`z^+` ``[M]``.
        in_degree: ``[N]``, ends in use.
        out_degree: ``[M]``.
        targets: ``[P]``.
        sources: ``[P]``.
        log_kernel: ``[P]``, see ``scores.distance`` (default: none).
    """
    free_in = (synaptic_elements_in.floor() - in_degree).clamp(min=0.0)
    free_out = (synaptic_elements_out.floor() - out_degree).clamp(min=0.0)
    pairs = free_in.index_select(0, targets) * free_out.index_select(0, sources)
    return pairs if log_kernel is None else pairs * log_kernel.exp()
