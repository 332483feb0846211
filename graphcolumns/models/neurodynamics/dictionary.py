"""A dictionary that is learned: sparse codes by lateral inhibition, atoms by a local rule."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.neurodynamics.dictionary_residual import relative_residual
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics import LCA, Relaxation, Solution, relaxation, solve
from graphcolumns.nn.dynamics.core.full_precision import full_precision, widened
from graphcolumns.nn.dynamics.gradients.gradient import Gradient
from graphcolumns.nn.dynamics.methods.method import Method
from graphcolumns.nn.dynamics.sparse_coding.checks import check_atoms, check_threshold
from graphcolumns.nn.dynamics.sparse_coding.lca import method_for
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.random.counter import derive

log = logging.getLogger(__name__)

# Share of the newest batch in the running mean of squared codes.
FRESH = 0.1


class SparseDictionary(nn.Module):
    r"""Atoms of unit norm and the sparse codes of signals in them.

    Codes are the fixed point of :class:`~graphcolumns.nn.dynamics.LCA`; with the soft threshold
    that is the minimum of the energy over codes,

    .. math::
        E(x) = \min_a \tfrac12 \lVert x - a D \rVert^2 + \lambda \lVert a \rVert_1.

    Atoms learn from the gradient of the same energy at fixed codes, :math:`-a^\top (x - a D)`:
    activity times what is left unexplained. There are two ways to train:

    - :meth:`update` makes one step of that rule, without autograd;
    - :func:`graphcolumns.train` makes steps of any optimizer; the loss of a reconstruction
      has the same gradient up to a factor. With ``gradient=Implicit()`` the gradient also passes
      through the codes, as in task-driven dictionary learning.

    :meth:`after_step` brings atoms back to unit norm, and gives new values to atoms that no sample
    has used for long: the normalised residual of a random sample of the last batch.

    Args:
        num_atoms: Number of atoms ``N``.
        num_inputs: Number of values per signal ``M``.
        threshold: Threshold :math:`\lambda`, above 0, in units of the signals.
        nonnegative: Whether codes are non-negative.
        hard: Whether the threshold is hard; the energy then has
            :math:`\frac{\lambda^2}{2} \lVert a \rVert_0` in place of the :math:`\ell_1` norm.
        atoms: Atoms at the start, of unit norm, ``[N, M]`` (default: random directions).
        gradient: How gradients pass through the codes to the atoms, such as ``Implicit()``
            (default: codes are fixed).
        method: How the state of the circuit advances (default: Euler steps, of at most .5 with the
            hard threshold).
        tolerance: Distance from the fixed point at which codes are read out, relative to the
            largest correlation of a signal with an atom.
        max_steps: Most iterations of the circuit.
        patience: Samples in training mode after which an atom that none of them used gets a new
            value; None: never.
        seed: Seed of random atoms, at the start and later.

    Attributes:
        idle: Samples since each atom was used, int64 ``[N]``.
        reseeded: Number of atoms that got a new value so far, int64.

    Shapes:
        - input: ``[B, ...]`` with ``M`` values per sample
        - prediction: the shape of the input; state: ``[N, B, 1]``, the codes; energy: ``[B]``

    Raises:
        ValueError: A size below 1, a threshold that is not positive, atoms of another shape or
            norm; when called, signals of another size or not finite.

    Source: Olshausen & Field, Emergence of simple-cell receptive field properties by learning a
        sparse code for natural images, Nature 1996, https://doi.org/10.1038/381607a0; Mairal, Bach
        & Ponce, Task-driven dictionary learning, 2012, https://arxiv.org/abs/1009.5358, for
        gradients through codes.

    Example:
        >>> import torch
        >>> from graphcolumns.models.neurodynamics import SparseDictionary
        >>> model = SparseDictionary(num_atoms=12, num_inputs=4, threshold=0.1)
        >>> model(torch.ones(2, 4)).prediction.shape
        torch.Size([2, 4])
    """

    atoms: nn.Parameter
    idle: Tensor
    power: Tensor
    reseeded: Tensor

    column_tensors = ("atoms", "idle", "power")
    no_weight_decay = ("atoms",)

    def __init__(
        self,
        num_atoms: int,
        num_inputs: int,
        threshold: float,
        *,
        nonnegative: bool = False,
        hard: bool = False,
        atoms: Tensor | None = None,
        gradient: Gradient | None = None,
        method: Method | None = None,
        tolerance: float = 1e-3,
        max_steps: int = 2_000,
        patience: int | None = 10_000,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_counts(num_atoms=num_atoms, num_inputs=num_inputs, max_steps=max_steps)
        check_threshold(threshold)
        if patience is not None:
            check_counts(patience=patience)
        self.threshold, self.nonnegative, self.hard = float(threshold), nonnegative, hard
        self.gradient, self.method = gradient, method
        self.tolerance, self.max_steps = tolerance, max_steps
        self.patience, self.seed = patience, seed
        if atoms is None:
            atoms = normalize(_gaussian(num_atoms, num_inputs, derive(seed, "atoms")), dim=1)
        else:
            check_atoms(atoms, "[num_atoms, num_inputs], an atom in every row", (2,))
            _check_shape(atoms, (num_atoms, num_inputs))
        self.atoms = nn.Parameter(atoms.detach().clone())
        self.register_buffer("idle", torch.zeros(num_atoms, dtype=torch.int64))
        self.register_buffer("power", torch.zeros(num_atoms, dtype=self.atoms.dtype))
        self.register_buffer("reseeded", torch.zeros((), dtype=torch.int64))
        self._residual: Tensor | None = None

    @property
    def graph(self) -> ColumnGraph:
        """Which atoms compete: all pairs, without self-edges."""
        # Made when needed: no parameter belongs to an edge, and there are N (N - 1) of them.
        ids = torch.arange(len(self.atoms), device=self.atoms.device)
        pairs = torch.cartesian_prod(ids, ids).T
        return ColumnGraph.from_edge_index(pairs[:, pairs[0] != pairs[1]], len(ids))

    def code(self, signals: Tensor) -> Solution:
        """Runs the circuit on signals ``[B, M]``; codes are ``solution.output``, ``[B, N]``."""
        circuit = self._circuit()
        return solve(
            circuit,
            signals,
            method=self._method(circuit),
            stop=relative_residual,
            tolerance=self.tolerance,
            max_steps=self.max_steps,
            gradient=self.gradient,
        )

    @full_precision()
    def forward(self, inputs: Tensor) -> ModelOutput:
        """Codes signals and reconstructs them; autocast is off inside."""
        signals = widened(inputs.flatten(1), self.atoms)
        solution = self.code(signals)
        codes = solution.output
        prediction = codes @ self.atoms
        residual = signals - prediction
        if self.training:
            self._note(codes.detach(), residual.detach())
        energy = residual.square().sum(1) / 2 + self.penalty(codes)
        return ModelOutput(
            prediction.reshape(inputs.shape),
            state=codes.T[..., None],
            energy=energy,
            iterations=solution.iterations,
        )

    def penalty(self, codes: Tensor) -> Tensor:
        """What codes ``[B, N]`` cost in the energy, ``[B]``."""
        if self.hard:
            return self.threshold**2 / 2 * (codes != 0).sum(1)
        return self.threshold * codes.abs().sum(1)

    @torch.no_grad()
    def update(self, inputs: Tensor, rate: float = 0.3) -> ModelOutput:
        r"""One step of the local rule on a batch, without autograd.

        .. math::
            d_i \leftarrow d_i + \eta \, \frac{\langle a_i (x - a D) \rangle}{p_i}, \qquad
            p_i = \langle a_i^2 \rangle

        Averages :math:`\langle \cdot \rangle` are over the batch, that in :math:`p_i` over past
        batches too. The curvature of the energy along atom i is :math:`p_i`, so the rate does not
        depend on the scale of the signals nor on how often the atom is used.

        Args:
            inputs: Signals of a batch, ``[B, ...]``.
            rate: Step size :math:`\eta`; at 1 every atom alone would jump to its optimum.

        Returns:
            Output of the model before the step.

        Raises:
            ValueError: A rate that is not positive, or signals as in :meth:`forward`.
        """
        if not rate > 0:
            raise ValueError(f"rate must be positive. Got {rate!r}.")
        output = self(inputs)
        assert output.state is not None
        codes = output.state[..., 0]
        residual = (inputs - output.prediction).flatten(1)
        power = codes.square().mean(1)
        first = ~self.power.any()
        self.power.copy_(torch.where(first, power, self.power + FRESH * (power - self.power)))
        # Atoms that are hardly ever used would otherwise make steps of any size.
        curvature = torch.maximum(torch.maximum(self.power, power), 1e-3 * self.power.mean())
        step = codes @ residual / (max(len(residual), 1) * curvature[:, None])
        self.atoms.add_(torch.where(step.isfinite(), step, torch.zeros_like(step)), alpha=rate)
        self.after_step()
        return output

    @torch.no_grad()
    def after_step(self) -> None:
        """Gives unused atoms new values and brings all atoms back to unit norm."""
        if self._residual is not None and self.patience is not None:
            unused = (self.idle > self.patience).nonzero().flatten()
            if len(unused):
                self._reseed(unused, self._residual)
            self._residual = None
        self.atoms.copy_(normalize(self.atoms, dim=1))

    def rewired(self, graph: ColumnGraph) -> None:
        """Refuses other edges: all atoms compete, with weights that follow from the atoms.

        Raises:
            ValueError: The edges are not those of all pairs.
        """
        if not graph.same_topology(self.graph):
            raise ValueError(
                "every atom of a SparseDictionary must compete with every other. Got other edges; "
                "train a SparseSheet to prune and grow them."
            )

    def describe(self) -> str:
        """The first sentence of a report."""
        n, m = self.atoms.shape
        return (
            f"A dictionary of {n:,} atoms of {m:,} values, coded by lateral inhibition with the "
            f"threshold {self.threshold:g}."
        )

    def extra_repr(self) -> str:
        """The sizes."""
        n, m = self.atoms.shape
        return f"atoms={n}, inputs={m}, threshold={self.threshold:g}"

    def relaxation(self, inputs: Tensor) -> Relaxation:
        """How the circuit settles on inputs, for reports."""
        signals = widened(inputs.flatten(1), self.atoms)
        circuit = self._circuit()
        found = relaxation(circuit, signals, method=method_for(circuit))
        return found._replace(output=found.output.transpose(1, 2)[..., None])

    def _circuit(self) -> LCA:
        atoms = self.atoms.detach() if self.gradient is None else self.atoms
        return LCA(atoms, self.threshold, hard=self.hard, nonnegative=self.nonnegative)

    def _method(self, circuit: LCA) -> Method | None:
        return method_for(circuit) if self.method is None else self.method

    @torch.no_grad()
    def _note(self, codes: Tensor, residual: Tensor) -> None:
        used = (codes != 0).any(0)
        self.idle.copy_(torch.where(used, 0, self.idle + len(codes)))
        self._residual = residual

    def _reseed(self, unused: Tensor, residual: Tensor) -> None:
        count, seed = len(unused), derive(self.seed, "reseed", int(self.reseeded))
        stream = torch.Generator().manual_seed(seed)
        order = torch.randint(max(len(residual), 1), (count,), generator=stream)
        noise = _gaussian(count, residual.shape[1], seed).to(residual)
        fresh = residual[order.to(residual.device)] if len(residual) else noise
        # A sample that is explained exactly has no direction; then any will do.
        fresh = torch.where(fresh.norm(dim=1, keepdim=True) > 0, fresh, noise)
        self.atoms[unused] = normalize(fresh, dim=1)
        self.idle[unused] = 0
        self.power[unused] = self.power.mean()
        self.reseeded += count
        log.info("%d unused atoms were given new values: %s", count, unused.tolist())


def _check_shape(atoms: Tensor, shape: tuple[int, int]) -> None:
    """Raises ValueError for atoms of another shape."""
    if tuple(atoms.shape) != shape:
        raise ValueError(
            f"atoms must have one row per atom. Expected {shape}. Got {tuple(atoms.shape)}."
        )


def _gaussian(rows: int, columns: int, seed: int) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
