"""The locally competitive algorithm in which silent units inhibit, too: a variant with a bias."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.checks import check_atoms, check_threshold
from graphcolumns.nn.dynamics.sparse_coding.lca import dense_drive, dense_step_limit
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit


@dataclass(frozen=True, eq=False)
class FlooredLCA(SparseCircuit):
    r"""LCA with activities that never fall below the threshold, as in NeurodynamicalSystems.jl.

    .. math::
        \dot u = \Phi x - (\Phi \Phi^\top - I) \max(\lambda, u) - u - \lambda

    Silent units inhibit with the strength :math:`\lambda`, so this circuit does not solve the LASSO
    that :class:`LCA` solves. Its codes :math:`a = \max(u - \lambda, 0)` solve the non-negative
    LASSO with a weight for each unit,

    .. math::
        \lambda_i = \lambda \, (2 + \textstyle\sum_{k \ne i} G_{ik}),

    or :math:`\lambda \, (1 + \sum_{k \ne i} G_{ik})` with ``subtract=False``, the form without the
    last term. Where atoms overlap by :math:`\sum_k G_{ik} = 12`, amplitudes come out smaller by
    :math:`14 \lambda` instead of :math:`\lambda`. It is here to reproduce published results; take
    :class:`LCA` otherwise. ``energy`` and ``residual`` are those of the weighted problem.

    Args:
        dictionary: Atoms of unit norm, ``[n, m]``.
        threshold: Threshold :math:`\lambda`, above 0, in units of the input.
        subtract: Whether the last term, :math:`- \lambda`, is there.

    Shapes:
        - inputs: ``[B, m]``
        - state, output: ``[B, n]``

    Raises:
        ValueError, TypeError: As :class:`LCA`.

    Source: Smith, NeurodynamicalSystems.jl, 2023,
    https://github.com/EliSmith45/NeurodynamicalSystems.jl.
    """

    dictionary: Tensor
    threshold: float
    subtract: bool = True
    hard: bool = field(default=False, init=False)
    nonnegative: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_atoms(self.dictionary, "[n, m], an atom in every row", (2,))
        check_threshold(self.threshold)

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, half the energies of the inputs; the Gram matrix."""
        return dense_drive(self.dictionary, inputs)

    def gram_product(self, codes: Tensor, drive: Drive) -> Tensor:
        """A product with the Gram matrix."""
        return codes @ drive.shared[0]

    def flow(self, state: State, drive: Drive) -> Tensor:
        """Drive, leak, and inhibition by all units."""
        assert isinstance(state, Tensor)
        floored = state.clamp(min=self.threshold)
        shift = self.threshold if self.subtract else 0.0
        lateral = self.gram_product(floored, drive) - floored
        return drive.samples[0] - lateral - state - shift

    def penalty(self, drive: Drive) -> Tensor:
        """Weight of every unit in the LASSO that the fixed points solve, ``[n]``."""
        gram = drive.shared[0]
        others = gram.sum(1) - gram.diagonal()
        return self.threshold * (others + (2.0 if self.subtract else 1.0))

    def gap(self, state: State, drive: Drive) -> None:
        """None: weights may be negative, and then there is no bound."""
        return None

    def step_limit(self, drive: Drive) -> float:
        r""":math:`2 / \lambda_{max}(\Phi \Phi^\top)`, as without the floor."""
        return dense_step_limit(self.dictionary)
