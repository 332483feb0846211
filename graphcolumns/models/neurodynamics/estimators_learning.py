"""Dictionary learning with codes by lateral inhibition, as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import normalize
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from graphcolumns.models.neurodynamics.dictionary import SparseDictionary
from graphcolumns.models.neurodynamics.estimators_coding import (
    LCACoding,
    check_above_zero,
    unit_atoms,
)

# Distance from the fixed point while learning: atoms move more than codes err.
CODED = 3e-3


class LCADictionaryLearning(LCACoding):
    r"""Dictionary learning in minibatches, with sparse codes by lateral inhibition.

    .. math::
        \min_D \sum_x \min_a \tfrac12 \lVert x - a D \rVert^2 + \alpha \lVert a \rVert_1,
        \qquad \lVert d_i \rVert = 1

    A scikit-learn transformer in the place of ``MiniBatchDictionaryLearning``, with its names.
    Batches are coded by :class:`~graphcolumns.nn.dynamics.LCA`, on the GPU with
    ``device="cuda"``, and atoms make the steps of
    :meth:`~graphcolumns.models.neurodynamics.SparseDictionary.update`; the rate falls linearly to
    a hundredth. Atoms that no sample of the last epoch has used are replaced by residuals.

    Args:
        n_components: Number of atoms (default: the number of features).
        alpha: Weight of the penalty :math:`\alpha`, above 0, in units of ``X``.
        max_iter: Most passes through the data.
        tol: Root mean square change of atoms in one pass below which learning stops early; 0:
            never.
        batch_size: Samples per step.
        shuffle: Whether samples are drawn in a new order in every pass.
        learning_rate: Rate of the first step; at 1 every atom alone would jump to its optimum.
        dict_init: Atoms at the start, of unit norm, ``[n_components, n_features]`` (default:
            random samples).
        transform_alpha: Penalty of codes in ``transform`` (default: ``alpha``).
        positive_code: Whether codes are non-negative.
        hard_threshold: Whether the penalty is :math:`\frac{\alpha^2}{2} \lVert a \rVert_0`.
        transform_tol: Distance from the fixed point at which ``transform`` reads out, relative to
            the largest correlation of a signal with an atom.
        transform_max_iter: Most iterations of the circuit in ``transform``; samples that need more
            are a ``ConvergenceWarning``.
        random_state: Seed of the start, of the order of samples and of new atoms.
        device: Device of torch (default: the CPU).

    Attributes:
        components_: Atoms, ``[n_components, n_features]``.
        n_iter_: Passes through the data.
        n_steps_: Steps made.
        n_features_in_: Number of values per signal.

    Raises:
        ValueError: When fitting, a number that is not positive, atoms at the start of another
            shape or norm, or signals that are not finite.

    Source: Olshausen & Field, Emergence of simple-cell receptive field properties by learning a
        sparse code for natural images, Nature 1996, https://doi.org/10.1038/381607a0.

    Example:
        >>> import numpy as np
        >>> from graphcolumns.models.neurodynamics import LCADictionaryLearning
        >>> X = np.random.default_rng(0).laplace(size=(100, 4))
        >>> LCADictionaryLearning(6, alpha=0.1, max_iter=5, random_state=0).fit_transform(X).shape
        (100, 6)
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        alpha: float = 1.0,
        max_iter: int = 100,
        tol: float = 1e-3,
        batch_size: int = 256,
        shuffle: bool = True,
        learning_rate: float = 0.3,
        dict_init: Any = None,
        transform_alpha: float | None = None,
        positive_code: bool = False,
        hard_threshold: bool = False,
        transform_tol: float = 1e-4,
        transform_max_iter: int = 10_000,
        random_state: Any = None,
        device: str | None = None,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.learning_rate = learning_rate
        self.dict_init = dict_init
        self.transform_alpha = transform_alpha
        self.positive_code = positive_code
        self.hard_threshold = hard_threshold
        self.transform_tol = transform_tol
        self.transform_max_iter = transform_max_iter
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any = None) -> LCADictionaryLearning:
        """Learns the atoms.

        Args:
            X: Signals, ``[n_samples, n_features]``.
            y: Ignored.
        """
        signals = self._signals(X, reset=True)
        random = self._begin(signals)
        data = torch.tensor(signals, device=self.device)
        for epoch in range(self.max_iter):
            before = self._learner.atoms.detach().clone()
            order = random.permutation(len(data)) if self.shuffle else np.arange(len(data))
            self._pass(data, torch.as_tensor(order, device=data.device), epoch)
            self.n_iter_ = epoch + 1
            if self._change(before) <= self.tol:
                break
        self.components_ = self._atoms()
        return self

    def partial_fit(self, X: Any, y: Any = None) -> LCADictionaryLearning:
        """Makes one step on a batch, at ``learning_rate``.

        Args:
            X: Signals of a batch, ``[n_samples, n_features]``.
            y: Ignored.
        """
        first = not hasattr(self, "components_")
        signals = self._signals(X, reset=first)
        if first:
            self._begin(signals)
        data = torch.tensor(signals, device=self.device).to(self._learner.atoms.dtype)
        self._learner.update(data, self.learning_rate)
        self.n_steps_ += 1
        self.components_ = self._atoms()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Codes of signals.

        Args:
            X: Signals, ``[n_samples, n_features]``.

        Returns:
            Codes, ``[n_samples, n_components]``, in the type of ``X``.
        """
        check_is_fitted(self)
        alpha = self.alpha if self.transform_alpha is None else self.transform_alpha
        check_above_zero(transform_alpha=alpha)
        return self._encode(self._signals(X, reset=False), self.components_, alpha)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Signals from codes ``[n_samples, n_components]``."""
        check_is_fitted(self)
        return self._decode(X, self.components_)

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _begin(self, signals: np.ndarray) -> np.random.RandomState:
        """Checks the parameters and makes the dictionary that learns."""
        numbers = ("alpha", "max_iter", "batch_size", "learning_rate", "transform_tol")
        check_above_zero(**{name: getattr(self, name) for name in numbers})
        check_above_zero(transform_max_iter=self.transform_max_iter)
        if not self.tol >= 0:
            raise ValueError(f"tol must be 0 or more. Got {self.tol!r}.")
        if self.n_components is not None:
            check_above_zero(n_components=self.n_components)
        random = check_random_state(self.random_state)
        atoms = torch.tensor(self._start(signals, random)).to(torch.tensor(signals[:1]).dtype)
        self._learner = SparseDictionary(
            num_atoms=len(atoms),
            num_inputs=atoms.shape[1],
            threshold=self.alpha,
            atoms=atoms,
            nonnegative=self.positive_code,
            hard=self.hard_threshold,
            tolerance=CODED,
            patience=len(signals),
            seed=int(random.randint(2**31)),
        ).to(self.device or "cpu")
        self.n_iter_, self.n_steps_ = 0, 0
        return random

    def _start(self, signals: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Atoms at the start: those given, or random samples, then random directions."""
        count = signals.shape[1] if self.n_components is None else self.n_components
        shape = (count, signals.shape[1])
        if self.dict_init is None:
            atoms = random.standard_normal(shape)
            usable = np.flatnonzero(np.linalg.norm(signals, axis=1))
            some = random.permutation(usable)[:count]
            atoms[: len(some)] = signals[some]
            unit: np.ndarray = normalize(atoms)
            return unit
        atoms = unit_atoms("dict_init", self.dict_init)
        if atoms.shape != shape:
            raise ValueError(f"dict_init must have shape {shape}. Got {atoms.shape}.")
        return atoms

    def _pass(self, data: Tensor, order: Tensor, epoch: int) -> None:
        """One pass through the data."""
        size = min(self.batch_size, len(data))
        # A random order leaves out other samples in each pass; a fixed one would always the same.
        steps = len(data) // size if self.shuffle else -(-len(data) // size)
        for step, batch in enumerate(order.split(size)[:steps]):
            done = (epoch + step / steps) / self.max_iter
            self._learner.update(data[batch], self.learning_rate * max(1 - done, 0.01))
            self.n_steps_ += 1

    def _change(self, before: Tensor) -> float:
        """Root mean square change of atoms."""
        change = self._learner.atoms.detach() - before
        return float(change.square().sum(1).mean().sqrt())

    def _atoms(self) -> np.ndarray:
        atoms: np.ndarray = self._learner.atoms.detach().cpu().numpy().copy()
        return atoms
