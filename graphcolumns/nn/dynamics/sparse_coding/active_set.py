"""Exact steps of sparse coding: one unit more, and the active units solved for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.methods.method import Memory
from graphcolumns.nn.dynamics.sparse_coding.lca import LCA


@dataclass(frozen=True)
class ActiveSet:
    r"""Steps of :class:`LCA` that solve for the active units exactly, all samples at once.

    Every iteration activates the unit that violates the optimality conditions most. With A the
    active units and s their signs, it then solves

    .. math::
        G_{AA} \, a_A = b_A - \lambda s

    and goes there; where a code would change its sign on the way, it stops, silences that unit and
    solves again. The objective falls in every iteration, so that the LASSO is solved to rounding,
    in about as many iterations as units end up active. It replaces the dynamics of the circuit by
    jumps between states at which active units rest, and is fastest where codes are sparse.

    Raises:
        TypeError: When solving, a circuit other than :class:`LCA`.
        ValueError: When solving, a hard threshold.

    Source: Lee, Battle, Raina & Ng, Efficient sparse coding algorithms, NeurIPS 2006,
    https://papers.nips.cc/paper/2979-efficient-sparse-coding-algorithms.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LCA, ActiveSet, solve
        >>> x = torch.tensor([[2.0, 0.1, -1.0]])
        >>> solve(LCA(torch.eye(3), threshold=0.5), x, method=ActiveSet(), every=1).output
        tensor([[ 1.5000,  0.0000, -0.5000]])
    """

    def ready(self, circuit: Circuit, drive: Drive) -> ActiveSet:
        """The method as it is.

        Raises:
            TypeError: A circuit other than LCA.
            ValueError: A hard threshold.
        """
        if not isinstance(circuit, LCA):
            raise TypeError(
                f"ActiveSet solves LCA. Got {type(circuit).__name__}; pass method=Anderson()."
            )
        if circuit.hard:
            raise ValueError(
                "ActiveSet solves the LASSO, and a hard threshold has none. Got hard=True; pass "
                "method=Anderson()."
            )
        return self

    def memory(self, state: State, batch_dim: int) -> Memory:
        """Nothing."""
        return ()

    def advance(
        self, circuit: Circuit, state: State, drive: Drive, memory: Memory, iteration: int
    ) -> tuple[State, Memory]:
        """One unit more, and all active units solved for."""
        assert isinstance(circuit, LCA)
        b, gram, weight = drive.samples[0], drive.shared[0], circuit.threshold
        codes = circuit.output(state, drive)
        signs = _with_worst(codes, b - codes @ gram, weight, circuit.nonnegative)
        codes = _solved(codes, signs, b, gram, weight)
        pull = b - codes @ gram
        silent = pull.clamp(None if circuit.nonnegative else -weight, weight)
        rest = torch.where(codes == 0, silent, weight * codes.sign())
        return codes + rest, memory


def _with_worst(codes: Tensor, pull: Tensor, weight: float, nonnegative: bool) -> Tensor:
    """Signs of the active units and of the silent one that violates its condition most."""
    size = pull if nonnegative else pull.abs()
    excess, worst = torch.where(codes == 0, size - weight, torch.zeros_like(size)).max(1)
    signs = codes.sign()
    at = worst[:, None]
    chosen = torch.where(excess[:, None] > 0, pull.gather(1, at).sign(), signs.gather(1, at))
    return signs.scatter(1, at, chosen)


def _solved(codes: Tensor, signs: Tensor, b: Tensor, gram: Tensor, weight: float) -> Tensor:
    """Codes that are optimal for signs, from which some may have dropped out."""
    # Every round silences a unit of each sample that is not done.
    for _ in range(codes.shape[1]):
        codes, signs, again = _towards(codes, signs, b, gram, weight)
        if not bool(again.any()):
            break
    return codes


def _towards(
    codes: Tensor, signs: Tensor, b: Tensor, gram: Tensor, weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Codes on the way to the optimum of their signs, up to the first that would change its own."""
    active = signs != 0
    # Active units first, as many as the fullest sample has.
    count = max(1, int(active.sum(1).max())) if len(active) else 1
    ids = active.byte().argsort(dim=1, descending=True, stable=True)[:, :count]
    valid, old, sign = active.gather(1, ids), codes.gather(1, ids), signs.gather(1, ids)
    goal = _optimum(gram, b.gather(1, ids) - weight * sign, ids, valid)
    crosses = valid & (goal * sign < 0)
    # Units that keep their sign may have no way to go, and gradients of 0 / 0 are NaN.
    distance = torch.where(crosses, old - goal, torch.ones_like(old))
    share = torch.where(crosses, (old / distance).clamp(0, 1), torch.ones_like(old))
    step = share.amin(1, keepdim=True)
    stopped = crosses & (share <= step)
    new = torch.where(stopped, torch.zeros_like(old), old + step * (goal - old))
    codes = codes.scatter(1, ids, torch.where(valid, new, old))
    signs = signs.scatter(1, ids, torch.where(stopped, torch.zeros_like(sign), sign))
    return codes, signs, stopped.any(1)


def _optimum(gram: Tensor, right: Tensor, ids: Tensor, valid: Tensor) -> Tensor:
    """Solutions of the systems of the active units, 0 where there is none."""
    both = valid[:, :, None] & valid[:, None, :]
    system = gram[ids[:, :, None], ids[:, None, :]] * both
    # Rows that are only padding have a 1; equal atoms make a system singular without the rest.
    small = 10 * torch.finfo(gram.dtype).eps
    system = system + torch.diag_embed((~valid).to(gram.dtype) + small)
    solution, _ = torch.linalg.solve_ex(system, (right * valid)[..., None])
    return solution.squeeze(-1) * valid
