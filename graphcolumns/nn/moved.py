"""Graphs follow their module to another device."""

from typing import Any

import torch

from graphcolumns.graph import ColumnGraph


def moved(graph: ColumnGraph, fn: Any) -> ColumnGraph:
    """The graph on the device to which ``fn`` of ``nn.Module._apply`` sends a tensor.

    Its dtypes are its own: ``model.double()`` leaves ids and lengths as they are.
    """
    return graph.to(fn(torch.empty(0, device=graph.device)).device)
