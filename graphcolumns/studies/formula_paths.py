"""Which inputs a layered network connects with which outputs, by the weights along its paths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from graphcolumns.graph import ColumnGraph

Floats = NDArray[np.float64]


class FormulaPaths(NamedTuple):
    r"""Shares of the paths of a network that stay within a formula.

    The weight of a path is the product of :math:`|w|` along it. Outputs count alike, whatever the
    sum of all paths to each of them is.

    Attributes:
        to_output: Share of the paths to each output that begins at each input, ``[K, inputs]``.
        through_edge: Share of all paths that is from the inputs of formula f to output k through
            each edge, ``[E, K, K]`` with ``k`` first.
        through_column: The same through each column, ``[N, K, K]``.
        cross_talk: Share of the paths to an output that begin at inputs of another formula.
    """

    to_output: Floats
    through_edge: Floats
    through_column: Floats
    cross_talk: float


def formula_paths(
    graph: ColumnGraph,
    weight: Floats,
    inputs: NDArray[np.int64],
    outputs: NDArray[np.int64],
    formula_inputs: tuple[tuple[int, ...], ...],
) -> FormulaPaths:
    r"""Follow all paths from inputs to outputs of a feed-forward network.

    With :math:`M_{ij} = |w_{ij}|` the paths between any two columns weigh
    :math:`P = \sum_k M^k`. The sum ends, as no path returns, and is exactly 0 where none leads.

    Args:
        graph: Edges without a cycle.
        weight: Weight of every edge, ``[E]``.
        inputs: Columns that hold the inputs.
        outputs: Columns that are the prediction, ``K`` of them.
        formula_inputs: For each output the positions among ``inputs`` that its formula depends on.

    Raises:
        ValueError: An output that no path leads to, or a path that returns.
    """
    target, source = graph.target.long().numpy(), graph.source.long().numpy()
    n, size = graph.num_columns, np.abs(weight).astype(np.float64)
    matrix = np.zeros((n, n))
    matrix[target, source] = size
    paths = _path_sums(matrix)
    found = paths[np.ix_(outputs, inputs)]
    total = found.sum(1, keepdims=True)
    if not (total > 0).all():
        raise ValueError(
            "every output must be reached by an input. Got none for output "
            f"{int(np.flatnonzero(total[:, 0] <= 0)[0])}; prune less."
        )
    to_output = found / total
    own = np.array([[i in each for i in range(len(inputs))] for each in formula_inputs], float)
    onward = (paths[outputs] / total).T / len(outputs)  # [N, K]
    since = paths[:, inputs] @ own.T  # [N, K]
    through_column = onward[:, :, None] * since[:, None, :]
    through_edge = onward[target][:, :, None] * (size[:, None] * since[source])[:, None, :]
    crossed = 1 - float(np.einsum("ki,ki->", to_output, own)) / len(outputs)
    return FormulaPaths(to_output, through_edge, through_column, max(crossed, 0.0))


def _path_sums(matrix: Floats) -> Floats:
    """Sum of the powers of a matrix of sizes, ``[N, N]``, without a cycle.

    An inverse would leave rounding, of either sign, where no path leads.
    """
    found, power = np.eye(len(matrix)), np.eye(len(matrix))
    for _ in range(len(matrix)):
        power = power @ matrix
        if not power.any():
            return found
        found += power
    raise ValueError("edges must be without a cycle. Got a path that returns; use layers.")
