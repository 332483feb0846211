"""A start in closed form: the state that belongs to ridge codes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.arguments import require_positive
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.sparse_coding.lca import LCA


def ridge_start(circuit: LCA, penalty: float) -> Callable[[Tensor, Drive], Tensor]:
    r"""A primed start for ``solve(start=...)``: ridge codes, as a state.

    Ridge codes :math:`a = \Phi (\Phi^\top \Phi + \rho I)^{-1} x` leave the correlations
    :math:`b - G a = \rho a`, and the state at which they would rest is :math:`u = (1 + \rho) a`.
    One matrix product per batch; whether it saves iterations depends on the dictionary.

    Args:
        circuit: The circuit that will be solved.
        penalty: Ridge penalty :math:`\rho`, above 0.

    Raises:
        TypeError: A circuit other than :class:`LCA`.
        ValueError: A penalty that is not positive.

    Source: Kasenbacher, Ehret, Ecke & Otte, WARP-LCA: efficient convolutional sparse coding with
    locally competitive algorithm, 2024, https://arxiv.org/abs/2410.18794, where the predictor is a
    network; here it is linear.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LCA, ridge_start, solve
        >>> circuit = LCA(torch.eye(2), threshold=0.5)
        >>> solve(circuit, torch.tensor([[2.0, 0.1]]), start=ridge_start(circuit, 1.0)).output
        tensor([[1.5000, 0.0000]])
    """
    if not isinstance(circuit, LCA):
        raise TypeError(
            "ridge codes need a dense dictionary. Expected an LCA. Got "
            f"{type(circuit).__name__}; call fit_start(circuit, inputs), or solve without a start."
        )
    require_positive(penalty=penalty)
    with torch.no_grad():
        atoms = circuit.dictionary
        covariance = atoms.T @ atoms
        covariance.diagonal().add_(penalty)
        predictor = (1 + penalty) * torch.linalg.solve(covariance, atoms.T)

    def start(inputs: Tensor, drive: Drive) -> Tensor:
        return inputs.detach() @ predictor

    return start
