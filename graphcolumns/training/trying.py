"""Trying the parts of a run before it starts."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from graphcolumns.nn.recording import evaluating
from graphcolumns.training.noting import noting


@contextmanager
def trying(model: nn.Module, device: str, context: str) -> Iterator[None]:
    """A trial that leaves no trace: modes of modules and random numbers are as they were.

    Args:
        model: Model, in evaluation mode inside.
        device: Device whose random numbers are kept, besides those of the CPU.
        context: Note on errors, such as ``"while trying two samples"``.
    """
    cuda = torch.device(device).type == "cuda"
    with noting(context), evaluating(model), torch.random.fork_rng([device] if cuda else []):
        yield
