"""Checks that several layers share, with errors that list the choices."""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from graphcolumns.geometry.checks import check_choice as check_choice
from graphcolumns.nn.mixture import Mixture


def check_counts(**counts: int) -> None:
    """Raises ValueError for a size below one, TypeError for one that is not a whole number."""
    for name, value in counts.items():
        if not hasattr(value, "__index__"):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")


def check_dropout(**probabilities: float) -> None:
    """Raises ValueError for a probability outside [0, 1)."""
    for name, value in probabilities.items():
        if not 0.0 <= value < 1.0:
            raise ValueError(f"{name} must be in [0, 1), got {value}")


def check_int64_ids(name: str, ids: Tensor) -> None:
    """Raises TypeError for ids that are not an int64 tensor."""
    if not isinstance(ids, Tensor) or ids.dtype != torch.int64:
        got = ids.dtype if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"{name} must be int64 ids, got {got}")


def has_values(x: Tensor) -> bool:
    """Whether a tensor can be looked at: not while it is traced, nor without memory behind it."""
    if torch.compiler.is_compiling() or get_proxy_mode() is not None:
        return False
    return not (x.is_meta or isinstance(x, FakeTensor))


def check_mixture(mixture: Mixture | None, num_columns: int, rank: int) -> None:
    """Raises ValueError for coefficients of other columns or of another number of sets."""
    if mixture is None or (mixture.num_columns, mixture.num_sets) == (num_columns, rank):
        return
    raise ValueError(
        f"the mixture must have num_columns={num_columns} and num_sets=rank={rank}, "
        f"got {mixture.num_columns} and {mixture.num_sets}"
    )
