"""How fast is LCA on edges, and how fast are batches of digits encoded?

Two comparisons, arms interleaved in one process, medians of five rounds, CPU seconds of one thread.

1. 16,384 atoms of 8 x 8 pixels, one at every pixel of a periodic 128 x 128 sheet, random values,
   float32, 8 inputs: 5 steps with the dense Gram matrix, along the edges of the Gram matrix, and in
   two hops. Written before the run: "edges are faster and smaller" is falsified if either is not.
2. 256 digits (64 pixels, unit norm) on 256 other digits as atoms, threshold .1:
   `sparse_encode(algorithm="lasso_cd")` of scikit-learn, and `solve` stopped at the largest gap
   that scikit-learn leaves. "At least half its speed" is falsified by a ratio above 2. Written
   after `ActiveSet` had been seen to be faster. Euler and Anderson are too slow for five rounds
   and run once, for at most 1,000 iterations.

    OMP_NUM_THREADS=1 python docs/measurements/lca_speed.py docs/measurements
"""

import json
import sys
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import sparse_encode

from graphcolumns import ColumnGraph
from graphcolumns.nn.dynamics import (
    LCA,
    ActiveSet,
    Anderson,
    EdgeLCA,
    TwoHopLCA,
    lateral_edges,
    normalized_edges,
    solve,
)

ROUNDS, SIDE, PATCH = 5, 128, 8


def seconds(run) -> float:
    """CPU seconds of one call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def interleaved(arms: dict) -> dict:
    """Median CPU seconds of every arm, each called once per round, after one call of each."""
    times = {name: [] for name in arms}
    for count in range(ROUNDS + 1):
        for name, run in arms.items():
            taken = seconds(run)
            if count:
                times[name].append(taken)
    return {name: median(values) for name, values in times.items()}


def local_atoms():
    """Edges of random patches, one at every pixel of a periodic sheet."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    dy, dx = torch.meshgrid(torch.arange(PATCH), torch.arange(PATCH), indexing="ij")
    rows = (y.reshape(-1, 1) + dy.reshape(1, -1)) % SIDE
    pixels = rows * SIDE + (x.reshape(-1, 1) + dx.reshape(1, -1)) % SIDE
    units = torch.arange(SIDE**2)[:, None].expand_as(pixels)
    graph = ColumnGraph.from_edge_index(torch.stack([pixels.flatten(), units.flatten()]), SIDE**2)
    values = torch.randn(graph.num_edges, generator=torch.Generator().manual_seed(0))
    return normalized_edges(graph, values)


def edges_against_dense() -> dict:
    """The first comparison."""
    atoms = local_atoms()
    graph = atoms.graph
    dense = torch.zeros(SIDE**2, SIDE**2)
    dense[graph.target.long(), graph.source.long()] = atoms.weight
    began = time.process_time()
    lateral = lateral_edges(atoms)
    building = time.process_time() - began
    circuits = {
        "dense": LCA(dense, 0.1),
        "edges": EdgeLCA(lateral, 0.1, atoms=atoms),
        "two hops": TwoHopLCA(atoms, 0.1),
    }
    rows = torch.randn(8, SIDE**2, generator=torch.Generator().manual_seed(1))
    columns = rows.T[..., None].contiguous()
    drives = {
        name: circuit.drive(rows if name == "dense" else columns)
        for name, circuit in circuits.items()
    }
    states = {name: circuits[name].initial(drives[name]) for name in circuits}

    def run(name: str) -> None:
        state = states[name]
        for _ in range(5):
            state = circuits[name].step(state, drives[name], 0.1)
        results[name] = state if name == "dense" else state[..., 0].T

    results: dict = {}
    times = interleaved({name: lambda name=name: run(name) for name in circuits})
    error = {name: float((results[name] - results["dense"]).abs().max()) for name in results}
    per_edge = lateral.graph.num_edges
    return {
        "lateral edges": per_edge,
        "edges of atoms": graph.num_edges,
        "seconds of five steps": times,
        "largest difference from dense": error,
        "seconds to build lateral edges": building,
        # Weights, sources and row pointers, which a forward step reads.
        "megabytes": {
            "dense": 4 * SIDE**4 / 1e6,
            "edges": (8 * per_edge + 8 * SIDE**2) / 1e6,
            "two hops": 2 * (8 * graph.num_edges + 8 * SIDE**2) / 1e6,
        },
    }


def digits() -> dict:
    """The second comparison."""
    images = load_digits().data
    images = images[np.random.default_rng(0).permutation(len(images))]
    images = images / np.linalg.norm(images, axis=1, keepdims=True)
    x, atoms = images[:256].copy(), images[256:512].copy()
    inputs = torch.from_numpy(x)

    def encode() -> np.ndarray:
        return sparse_encode(x, atoms, algorithm="lasso_cd", alpha=0.1, max_iter=100_000)

    codes = torch.from_numpy(encode())
    circuit = LCA(torch.from_numpy(atoms), 0.1)
    gaps = circuit.gap(codes + 0.1 * codes.sign(), circuit.drive(inputs))
    tolerance = float(gaps.max())
    found: dict = {}

    def run(name: str, **options) -> None:
        again = LCA(torch.from_numpy(atoms), 0.1)
        found[name] = solve(again, inputs, stop="gap", tolerance=tolerance, **options)

    options = {
        "active set": {"method": ActiveSet(), "every": 1},
        "Anderson": {"method": Anderson(), "max_steps": 1000, "every": 20},
        "Euler": {"max_steps": 1000, "every": 50},
    }
    arms = {name: lambda name=name: run(name, **options[name]) for name in options}
    times = interleaved({"scikit-learn": encode, "active set": arms.pop("active set")})
    times |= {name: seconds(arm) for name, arm in arms.items()}
    return {
        "largest gap of scikit-learn": tolerance,
        "active": float((codes != 0).sum(1).double().mean()),
        "seconds": times,
        "arrived": {name: int(solution.converged.sum()) for name, solution in found.items()},
        "largest gap": {name: float(solution.distance.max()) for name, solution in found.items()},
        "median iterations": {
            name: float(solution.iterations.double().median()) for name, solution in found.items()
        },
    }


def main() -> None:
    """Writes lca_speed.json into a folder, and prints it."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    report = {"torch": torch.__version__, "digits": digits()}
    print(report, flush=True)
    report["edges"] = edges_against_dense()
    print(report["edges"])
    Path(sys.argv[1], "lca_speed.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
