"""Activations of the MLP of a column."""

from torch import Tensor
from torch.nn import functional as F

ACTIVATIONS = ("gelu", "relu")


def activated(name: str, x: Tensor) -> Tensor:
    """Hidden units after their activation.

    Args:
        name: ``"gelu"``, or ``"relu"``, after which units may be exactly 0.
        x: Hidden units before it, of any shape.
    """
    return F.relu(x) if name == "relu" else F.gelu(x)
