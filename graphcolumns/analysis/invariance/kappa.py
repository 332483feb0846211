"""Error consistency: whether two observers fail on the same trials, beyond chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ErrorConsistency:
    r"""Error consistency of all pairs of observers. Print it, or read a mean over pairs.

    Attributes:
        names: Names of the ``R`` observers, in the order of the rows.
        kappa: Error consistency of every pair, ``[R, R]`` float64, symmetric; NaN where both
            observers are always right or both always wrong.
        observed: Share of trials on which both are right or both wrong, ``[R, R]``.
        expected: The same share for independent observers of these accuracies, ``[R, R]``.
        accuracy: Share of correct trials of every observer, ``[R]``.
        trials: Number of trials.
    """

    names: tuple[str, ...]
    kappa: Tensor
    observed: Tensor
    expected: Tensor
    accuracy: Tensor
    trials: int

    def mean(
        self, first: Sequence[str] | None = None, second: Sequence[str] | None = None
    ) -> float:
        """Mean of kappa over pairs of different observers; undefined pairs are left out.

        Args:
            first: Names of observers (default: all).
            second: Names of others, to average over pairs of one of each, such as humans and
                models (default: pairs within ``first``).

        Returns:
            NaN if no pair is defined.

        Raises:
            ValueError: A name that is not there, the same twice or in both groups, or no pair.
        """
        values = [value for value in self._values(first, second) if value == value]
        return sum(values) / len(values) if values else float("nan")

    def undefined(
        self, first: Sequence[str] | None = None, second: Sequence[str] | None = None
    ) -> int:
        """Number of pairs that :meth:`mean` leaves out.

        Args:
            first: Names of observers (default: all).
            second: Names of others (default: pairs within ``first``).
        """
        return sum(value != value for value in self._values(first, second))

    def to_markdown(self) -> str:
        """A table with one row per pair: kappa, observed and expected agreement."""
        rows = ["| first | second | kappa | observed | expected |", "|---|---|---|---|---|"]
        for i, j in combinations(range(len(self.names)), 2):
            numbers = (float(part[i, j]) for part in (self.kappa, self.observed, self.expected))
            cells = " | ".join(f"{number:.3f}" for number in numbers)
            rows.append(f"| {self.names[i]} | {self.names[j]} | {cells} |")
        return "\n".join(rows)

    def _values(self, first: Sequence[str] | None, second: Sequence[str] | None) -> list[float]:
        one = self._ids(self.names if first is None else first)
        if second is None:
            pairs = list(combinations(one, 2))
        else:
            pairs = list(product(one, other := self._ids(second)))
            if both := set(one) & set(other):
                raise ValueError(
                    "an observer must be in one group. Got "
                    f"{', '.join(repr(self.names[i]) for i in sorted(both))} in both."
                )
        if not pairs:
            raise ValueError(f"a mean needs a pair of observers. Got {len(one)} observers.")
        return [float(self.kappa[pair]) for pair in pairs]

    def _ids(self, names: Sequence[str]) -> list[int]:
        names = [names] if isinstance(names, str) else list(names)
        for name in names:
            if name not in self.names:
                raise ValueError(
                    f"observers must be in the table. Expected one of "
                    f"{', '.join(map(repr, self.names))}. Got {name!r}."
                )
        if len(set(names)) < len(names):
            raise ValueError(f"an observer can be named once. Got {names}.")
        return [self.names.index(name) for name in names]


def error_consistency(first: Tensor, second: Tensor) -> float:
    r"""Error consistency of two observers that saw the same trials.

    .. math::
        \kappa = \frac{c_\mathrm{obs} - c_\mathrm{exp}}{1 - c_\mathrm{exp}}, \qquad
        c_\mathrm{exp} = p_1 p_2 + (1 - p_1)(1 - p_2)

    with the share :math:`c_\mathrm{obs}` of trials on which both are right or both wrong, and the
    accuracies :math:`p`. It is Cohen's kappa of right and wrong: 1 for the same errors, 0 for
    independent ones, below 0 for errors that avoid each other. An observer that is always right (or
    always wrong) has kappa 0 with any other, except with one like itself, where nothing is left to
    agree on.

    Args:
        first: Correct trials of one observer, ``[n]`` bool.
        second: Those of the other, ``[n]`` bool, in the same order.

    Returns:
        A number in [-1, 1]; NaN where both are always right or both always wrong.

    Raises:
        ValueError: Other shapes, or no trials.
        TypeError: Trials that are not bool.

    Source: Geirhos, Meding & Wichmann, Beyond accuracy: quantifying trial-by-trial behaviour of
    CNNs and humans by measuring error consistency, NeurIPS 2020, https://arxiv.org/abs/2006.16736.
    """
    return float(error_consistency_table({"first": first, "second": second}).kappa[0, 1])


def error_consistency_table(correct: Mapping[str, Tensor]) -> ErrorConsistency:
    """Error consistency of all pairs of observers, see :func:`error_consistency`.

    Args:
        correct: Correct trials of every observer by name, each ``[n]`` bool, all in one order of
            trials: ``{"sheet": predictions == targets, ...}``.

    Raises:
        ValueError: Fewer than two observers, other shapes, or no trials.
        TypeError: Trials that are not bool.

    Source: Geirhos, Meding & Wichmann, Beyond accuracy: quantifying trial-by-trial behaviour of
    CNNs and humans by measuring error consistency, NeurIPS 2020, https://arxiv.org/abs/2006.16736.
    """
    rights = _checked(correct)
    right = torch.stack(rights).double()
    n = right.shape[1]
    # Counts are exact; only then shares.
    hits = right.sum(1)
    both = right @ right.T
    neither = n - hits[:, None] - hits + both
    observed, accuracy = (both + neither) / n, hits / n
    wrong = (n - hits) / n
    expected = accuracy.outer(accuracy) + wrong.outer(wrong)
    total = hits[:, None] + hits
    kappa = (observed - expected) / (1 - expected)
    kappa[(total == 0) | (total == 2 * n)] = torch.nan
    return ErrorConsistency(tuple(correct), kappa, observed, expected, accuracy, n)


def _checked(correct: Mapping[str, Tensor]) -> list[Tensor]:
    if not isinstance(correct, Mapping):
        raise TypeError(
            "correct must be a mapping from names of observers to trials. Got "
            f"{type(correct).__name__}."
        )
    if len(correct) < 2:
        raise ValueError(f"a table needs at least two observers. Got {len(correct)}.")
    trials = None
    for name, right in correct.items():
        if not torch.is_tensor(right) or right.dtype != torch.bool:
            got = right.dtype if torch.is_tensor(right) else type(right).__name__
            raise TypeError(
                f"trials must be a bool tensor, True where correct. Got {got} of {name!r}; compare "
                "answers with targets, answers == targets."
            )
        if right.ndim != 1 or not len(right):
            raise ValueError(
                f"trials must be [n] with n at least 1. Got {list(right.shape)} of {name!r}."
            )
        trials = len(right) if trials is None else trials
        if len(right) != trials:
            raise ValueError(
                f"all observers must have the same trials. Expected {trials}. Got {len(right)} of "
                f"{name!r}; keep the trials that all of them saw."
            )
    return [right.cpu() for right in correct.values()]
