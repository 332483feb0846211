"""Sparse coding in a fixed dictionary, as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphcolumns.models.neurodynamics.estimators_coding import (
    LCACoding,
    check_above_zero,
    require_features,
    unit_atoms,
)


class LCACoder(LCACoding):
    r"""Sparse codes of signals in a fixed dictionary, by lateral inhibition.

    .. math::
        \min_a \tfrac12 \lVert x - a D \rVert^2 + \alpha \lVert a \rVert_1

    for every row x of ``X``. A scikit-learn transformer in the place of
    ``sklearn.decomposition.SparseCoder``, with its names; samples are coded together, on the GPU
    with ``device="cuda"``.

    Args:
        dictionary: Atoms of unit norm, ``[n_components, n_features]``.
        transform_alpha: Weight of the penalty :math:`\alpha`, above 0, in units of ``X``.
        positive_code: Whether codes are non-negative.
        hard_threshold: Whether the penalty is :math:`\frac{\alpha^2}{2} \lVert a \rVert_0`;
            codes are then a stationary point.
        transform_tol: Distance from the fixed point at which codes are read out, relative to the
            largest correlation of a signal with an atom.
        transform_max_iter: Most iterations of the circuit; samples that need more are a
            ``ConvergenceWarning``.
        device: Device of torch that codes are computed on (default: the CPU).

    Attributes:
        n_components_: Number of atoms.
        n_features_in_: Number of values per signal.

    Raises:
        ValueError: When fitting, atoms without unit norm or of another size than the signals, or
            a number that is not positive.

    Example:
        >>> import numpy as np
        >>> from graphcolumns.models.neurodynamics import LCACoder
        >>> coder = LCACoder(np.eye(3), transform_alpha=0.5).fit(np.ones((1, 3)))
        >>> coder.transform(np.array([[2.0, 0.1, -1.0]])).round(3)
        array([[ 1.5,  0. , -0.5]])
    """

    def __init__(
        self,
        dictionary: Any,
        *,
        transform_alpha: float = 1.0,
        positive_code: bool = False,
        hard_threshold: bool = False,
        transform_tol: float = 1e-4,
        transform_max_iter: int = 10_000,
        device: str | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.transform_alpha = transform_alpha
        self.positive_code = positive_code
        self.hard_threshold = hard_threshold
        self.transform_tol = transform_tol
        self.transform_max_iter = transform_max_iter
        self.device = device

    def fit(self, X: Any, y: Any = None) -> LCACoder:
        """Checks the dictionary and the signals; nothing is learned.

        Args:
            X: Signals, ``[n_samples, n_features]``.
            y: Ignored.
        """
        signals, atoms = self._signals(X, reset=True), self._atoms()
        require_features(signals, atoms)
        self.n_components_ = len(atoms)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Codes of signals.

        Args:
            X: Signals, ``[n_samples, n_features]``.

        Returns:
            Codes, ``[n_samples, n_components]``, in the type of ``X``.
        """
        signals, atoms = self._signals(X, reset=False), self._atoms()
        require_features(signals, atoms)
        return self._encode(signals, atoms, self.transform_alpha)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Signals from codes ``[n_samples, n_components]``."""
        return self._decode(X, self._atoms())

    @property
    def _n_features_out(self) -> int:
        return len(self.dictionary)

    def _atoms(self) -> np.ndarray:
        check_above_zero(
            transform_alpha=self.transform_alpha,
            transform_tol=self.transform_tol,
            transform_max_iter=self.transform_max_iter,
        )
        return unit_atoms("dictionary", self.dictionary)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
