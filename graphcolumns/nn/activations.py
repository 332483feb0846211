"""Activations of the MLP of a column, by name."""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn import functional as F

# After "relu" hidden units may be exactly 0.
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}
