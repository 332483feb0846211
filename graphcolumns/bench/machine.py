"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from graphcolumns.bench.clock import MachineLimits

PACKAGES = (
    *("torch", "torch_geometric", "torch_scatter", "triton", "natten", "anemoi-models"),
    *("numpy", "scipy"),
)


def machine(limits: MachineLimits, device: str) -> dict[str, Any]:
    """Hardware, versions, date, commit, and what the machine can do."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "hardware": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "allocator": _allocator(),
        "copy_gb_per_second": limits.bytes_per_second / 1e9,
        "gflops_per_second": limits.flops_per_second / 1e9,
        "versions": {name: _version(name) for name in PACKAGES if _version(name)},
    }


def headline(about: dict[str, Any]) -> str:
    """The machine in a sentence."""
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['hardware']}, {about['threads']} threads, {about['allocator']}; copy "
        f"{about['copy_gb_per_second']:.1f} GB/s, float32 products "
        f"{about['gflops_per_second']:.0f} GFLOP/s in this run; {versions}; "
        f"{about['date']}, commit {about['commit']}."
    )


def recycled() -> bool:
    """Whether glibc keeps large blocks that are freed, instead of giving them back."""
    return os.environ.get("MALLOC_MMAP_MAX_") == "0"


def _allocator() -> str:
    """Peers that write large tensors depend on where their memory comes from."""
    if recycled():
        return "memory recycled (MALLOC_MMAP_MAX_=0)"
    if os.environ.get("THP_MEM_ALLOC_ENABLE") == "1":
        return "large pages for all tensors (THP_MEM_ALLOC_ENABLE=1)"
    return "the default allocator"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
