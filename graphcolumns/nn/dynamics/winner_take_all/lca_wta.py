"""A locally competitive algorithm and a winner-take-all circuit that excite each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.geometry.checks import check_choice
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.lca import LCA
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit
from graphcolumns.nn.dynamics.winner_take_all.inhibition import InhibitoryCircuit

COUPLINGS = ("drive", "input")
Rates = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, eq=False)
class LCAWTA(Circuit):
    r"""A sparse code u and a winner-take-all circuit x over its units, each driving the other.

    .. math::
        \dot u &= b + f_{11} a + f_{12} x - u - (G - I) a, \qquad a = T_\lambda(u) \\
        (\dot x, \dot y) &= \text{flow of the winner-take-all circuit at the input }
            f_{21} u + f_{22} x

    Winners raise the codes of their own units, which inhibit those of similar atoms. The
    state is (u, x, y), the output is x; :meth:`codes` has a. With non-negative correlations of
    atoms and :math:`\alpha + f_{22}` below the leak G, rates stay bounded where
    :math:`f_{11} + f_{12} f_{21} / (G - \alpha - f_{22}) < 1`.

    The fixed point is not the one of the LASSO; no limit of time steps is proven, so pass one.

    Args:
        lca: Sparse coding circuit, such as :class:`LCA`.
        wta: Winner-take-all circuit over the same units, such as :class:`LocalWTA`.
        rates: Flow rates :math:`((f_{11}, f_{12}), (f_{21}, f_{22}))`.
        coupling: ``"drive"``: activity is added to the drive b of units, as above. ``"input"``: it
            is added to the input x and passes through the dictionary, as in
            NeurodynamicalSystems.jl; atoms then have as many values as there are atoms.

    Shapes:
        - inputs: as ``lca``
        - state, output: those of ``lca`` and of ``wta``

    Raises:
        ValueError: Circuits with other dimensions of samples, an unknown coupling, rates that are
            not two by two, or ``"input"`` with a dictionary that is not square; when solving,
            inputs that do not fit.
        TypeError: Circuits of another kind, or ``"input"`` with another circuit than LCA.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LCA, LCAWTA, Euler, LocalWTA, solve
        >>> lca = LCA(torch.eye(4), threshold=0.1, nonnegative=True)
        >>> both = LCAWTA(lca, LocalWTA(1), rates=((-0.1, 0.5), (0.5, 0.0)))
        >>> signal = torch.tensor([[0.0, 0.5, 1.0, 0.0]])
        >>> solve(both, signal, method=Euler(0.1)).output.round(decimals=2)
        tensor([[0.0000, 0.0000, 0.3600, 0.0000]])
    """

    lca: SparseCircuit
    wta: InhibitoryCircuit
    rates: Rates = ((-0.1, 0.1), (0.1, -0.1))
    coupling: str = "drive"

    def __post_init__(self) -> None:
        if not isinstance(self.lca, SparseCircuit) or not isinstance(self.wta, InhibitoryCircuit):
            raise TypeError(
                "lca must be a circuit for sparse coding and wta one for winner-take-all. Got "
                f"{type(self.lca).__name__} and {type(self.wta).__name__}."
            )
        check_choice("coupling", self.coupling, COUPLINGS)
        if self.lca.batch_dim != self.wta.batch_dim:
            raise ValueError(
                "both circuits must have the same dimension of samples. Got batch_dim="
                f"{self.lca.batch_dim} of lca and {self.wta.batch_dim} of wta."
            )
        if [len(row) for row in self.rates] != [2, 2]:
            raise ValueError(f"rates must be ((f11, f12), (f21, f22)). Got {self.rates!r}.")
        if self.coupling == "input":
            self._check_square()
        object.__setattr__(self, "batch_dim", self.lca.batch_dim)

    def _check_square(self) -> None:
        if not isinstance(self.lca, LCA):
            raise TypeError(
                'coupling="input" needs a dictionary. Expected LCA. Got '
                f'{type(self.lca).__name__}; pass coupling="drive".'
            )
        atoms, size = self.lca.dictionary.shape
        if atoms != size:
            raise ValueError(
                'coupling="input" adds activity of units to inputs. Expected as many atoms as they '
                f'have values. Got {atoms} atoms of {size} values; pass coupling="drive".'
            )

    def drive(self, inputs: Tensor) -> Drive:
        """The drive of the sparse coding circuit, and the dictionary where it is needed.

        Raises:
            ValueError, TypeError: Inputs that do not fit one of the circuits.
        """
        drive = self.lca.drive(inputs)
        # Checks the shape of units, and warns of a regime that does not converge.
        self.wta.drive(torch.zeros_like(drive.samples[0]))
        if self.coupling == "drive":
            return drive
        assert isinstance(self.lca, LCA)
        return drive._replace(shared=(*drive.shared, self.lca.dictionary))

    def initial(self, drive: Drive) -> State:
        """Zero."""
        b = drive.samples[0]
        return (torch.zeros_like(b), *self.wta.initial(self.wta.ready(torch.zeros_like(b))))

    def flow(self, state: State, drive: Drive) -> State:
        """Rates of change of u, x and y."""
        u, x, y = state
        changes = self.wta.flow((x, y), self.wta_drive(u, x))
        return (self.lca_flow(u, x, drive), *changes)

    def step(self, state: State, drive: Drive, dt: float) -> State:
        """One Euler step of both circuits from the same state, that of ``wta`` in its own order."""
        u, x, y = state
        after = self.wta.step((x, y), self.wta_drive(u, x), dt)
        return (u + dt * self.lca_flow(u, x, drive), *after)

    def lca_flow(self, u: Tensor, x: Tensor, drive: Drive) -> Tensor:
        """Rate of change of u."""
        (own, other), _ = self.rates
        added = own * self.lca.output(u, drive) + other * x
        if self.coupling == "input":
            added = added @ drive.shared[-1].T
        first, *rest = drive.samples
        flow = self.lca.flow(u, drive._replace(samples=(first + added, *rest)))
        assert isinstance(flow, Tensor)
        return flow

    def wta_drive(self, u: Tensor, x: Tensor) -> Drive:
        """What the winner-take-all circuit receives."""
        _, (other, own) = self.rates
        return self.wta.ready(other * u + own * x)

    def output(self, state: State, drive: Drive) -> Tensor:
        """Rates x of the winner-take-all circuit."""
        return state[1]

    def codes(self, state: State, drive: Drive) -> Tensor:
        """Codes a of the sparse coding circuit."""
        return self.lca.output(state[0], drive)
