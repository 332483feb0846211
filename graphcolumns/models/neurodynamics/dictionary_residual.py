"""When codes are good enough to be read out."""

from __future__ import annotations

from torch import Tensor

from graphcolumns.nn.dynamics import Circuit, Drive, SparseCircuit
from graphcolumns.nn.dynamics.core.states import State, as_rows


def relative_residual(circuit: Circuit, state: State, drive: Drive) -> Tensor:
    """Distance from the fixed point over the largest correlation of a signal with an atom, ``[B]``.

    Signals of any scale are coded to the same share. Where it is below the penalty, which leaves
    all codes at zero, the penalty takes its place.
    """
    assert isinstance(circuit, SparseCircuit)
    correlations = as_rows(drive.samples[0], circuit.batch_dim)
    scale = correlations.abs().amax(1).clamp(min=circuit.threshold)
    return circuit.residual(state, drive) / scale
