"""Losses and edges of short runs, as JSON: ``python short_runs.py digits/rigl planted/set ...``.

Needs nothing but the command line of graphcolumns and its run folders, so that it can be run with
an earlier version too. A word without ``/`` is the folder of a run, which is resumed to its end.
``ARITHMETIC`` has to be in the environment before the process starts.
"""

import hashlib
import json
import platform
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from graphcolumns.cli import load, main
from graphcolumns.ops.extension import build_kernels

# Instructions that every x86-64 has, for each library that would choose them by the CPU. The last
# is the mathematics library of glibc; names that a version does not know are ignored.
ARITHMETIC = {
    "ATEN_CPU_CAPABILITY": "default",
    "GRAPHCOLUMNS_CPU": "baseline",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENBLAS_NUM_THREADS": "1",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX512F,-FMA,-FMA_Usable,-FMA4",
}
STEPS = 50
OPTIONS = [
    *(f"steps={STEPS}", "seed=0", "evaluate_test=false", "report=false", "progress=false"),
    "checkpoint_every=50",
]


def short_run(name: str, folder: Path) -> dict[str, str]:
    """Train ``experiment/rule``, with edges that change every 10 steps."""
    experiment, rule = name.split("/")
    every = [] if rule == "sernn" else ["plasticity.every=10"]
    chosen = [f"experiment={experiment}", f"plasticity={rule}", *every]
    assert main(["train", *chosen, *OPTIONS, f"run={folder}"]) == 0, name
    return outcome(folder)


def resumed(run: str, folder: Path) -> dict[str, str]:
    """Resume a copy of a run."""
    shutil.copytree(run, folder)
    assert main(["resume", str(folder)]) == 0, run
    return outcome(folder)


def outcome(run: Path) -> dict[str, str]:
    """Every loss, exactly, and the hash of the edges at the end (rows: source, target)."""
    entries = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    losses = " ".join(entry["loss"].hex() for entry in entries)
    edges = load(run).graph.edge_index.numpy().astype("<i8")
    return {"losses": losses, "edges": hashlib.sha256(edges.tobytes()).hexdigest()[:16]}


def arithmetic() -> str:
    """What bits depend on: the version of torch, and the hash of the bits of a few products.

    Shapes are those of small sheets: untied products of 64 columns, a readout, sums of many terms.
    """
    try:
        build_kernels()
    except ImportError:
        return "no kernels"
    torch.manual_seed(0)
    x, weight, image = torch.randn(64, 64, 32), torch.randn(64, 32, 96), torch.rand(64, 1, 8, 8)
    wide, far = x.flatten(1), 20 * torch.rand(10_000) - 10
    results = [
        *(x, weight, x @ weight, wide @ wide.t(), wide[:, 0] @ wide, x.sum(), x.mean((0, 2))),
        *(torch.linalg.vector_norm(x), x.var(-1), x.softmax(-1), x.logsumexp(-1), x.cumsum(0)),
        *(
            far.exp(),
            far.exp().log(),
            far.tanh(),
            far.sigmoid(),
            far.sin(),
            far.erf(),
            far.sort()[0],
        ),
        *(functional.gelu(far), functional.softplus(far), far.abs().sqrt(), far.abs().rsqrt()),
        *(far.double().exp(), functional.layer_norm(x, (32,)), functional.unfold(image, 3)),
        *(functional.conv2d(image, weight[:8, :1, :9].reshape(8, 1, 3, 3)),),
        functional.grid_sample(image, 2 * torch.rand(64, 8, 8, 2) - 1, align_corners=False),
    ]
    bits = hashlib.sha256()
    for result in results:
        bits.update(result.contiguous().numpy().tobytes())
    points = x[0].double().numpy()
    for array in (points @ points.T, np.exp(points), np.sin(points), np.sqrt((points**2).sum(1))):
        bits.update(array.tobytes())
    version = torch.__version__.partition("+")[0]
    return f"{platform.machine()} torch {version} {bits.hexdigest()[:16]}"


def all_runs(names: list[str]) -> dict[str, object]:
    """The arithmetic, and the outcome of each run."""
    torch.set_num_threads(1)
    runs = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            start = resumed if Path(name).is_dir() else short_run
            key = Path(name).name if Path(name).is_dir() else name
            runs[key] = start(name, Path(folder) / "run")
    return {"arithmetic": arithmetic(), "runs": runs}


if __name__ == "__main__":
    # Training prints its summary to stdout.
    with redirect_stdout(sys.stderr):
        result = all_runs(sys.argv[1:])
    json.dump(result, sys.stdout, indent=1)
