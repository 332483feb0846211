"""Checks of dictionaries and of signals, with errors that say the remedy."""

from __future__ import annotations

import torch
from torch import Tensor

# Largest difference of the norm of an atom from 1.
UNIT = 1e-4


def require_atoms(atoms: Tensor, shape: tuple[int, int]) -> None:
    """Raises ValueError unless atoms have this shape and unit norm."""
    if tuple(atoms.shape) != shape:
        raise ValueError(
            f"atoms must have one row per atom. Expected {shape}. Got {tuple(atoms.shape)}."
        )
    norms = torch.linalg.vector_norm(atoms.detach(), dim=1)
    # Written so that a norm that is not finite fails too.
    if not bool(((norms - 1).abs() <= UNIT).all()):
        raise ValueError(
            "atoms must have unit norm. Got norms from "
            f"{float(norms.min()):.4g} to {float(norms.max()):.4g}; pass "
            "torch.nn.functional.normalize(atoms, dim=1)."
        )


def require_signals(signals: Tensor, num_inputs: int) -> None:
    """Raises ValueError unless signals ``[B, M]`` have ``M`` finite values each."""
    if signals.shape[1] != num_inputs:
        raise ValueError(
            f"signals must have as many values as atoms. Expected {num_inputs}. Got "
            f"{signals.shape[1]}."
        )
    if not bool(signals.isfinite().all()):
        raise ValueError(
            "signals must be finite. Got NaN or infinity; fill in or leave out those samples."
        )
