"""What is worth knowing about a finished run, as one flat dictionary."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn.protocols import graphs_of

PACKAGES = ("torch", "torch_geometric", "numpy", "graphcolumns")

# A flat value of summary.json.
Value = float | int | str | None


def describe_model(model: nn.Module, unit: str | None) -> dict[str, Value]:
    """Edges, density, wiring length (sum over edges, in ``unit``) and parameters.

    Those of the second graph and of later ones have its name before theirs: ``NAME/edges``.
    """
    wire: dict[str, Value] = {}
    for name, graph in graphs_of(model).items():
        prefix = f"{name}/" if wire else ""
        wire |= {prefix + key: value for key, value in _wire(graph).items()}
    return {
        **wire,
        "wiring_length_unit": unit,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _wire(graph: ColumnGraph) -> dict[str, Value]:
    length = None if graph.distance is None else float(graph.distance.detach().double().sum())
    return {"edges": graph.num_edges, "density": graph.density, "wiring_length": length}


def describe_machine(device: torch.device) -> dict[str, Value]:
    """Peak memory in MB (2^20 bytes), and the versions that made the run."""
    return {
        "peak_memory_mb": _peak_memory(device),
        "device": str(device),
        "version_python": sys.version.split()[0],
        **{f"version_{name}": package_version(name) for name in PACKAGES},
    }


def package_version(name: str) -> str:
    """The installed version of a package, or "unknown" for a bare checkout."""
    if name == "torch":
        # The metadata of the package leave out the build: 2.13.0 is "2.13.0+cpu" or "2.13.0+cu130".
        return str(torch.__version__)
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def _peak_memory(device: torch.device) -> float | None:
    """Of the GPU, or of the whole process on a CPU; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
