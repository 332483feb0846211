"""One query per vertex: time and memory of a step along all tokens and along few.

Every row is measured in a process of its own, because memory is that of the process at its peak:

    python docs/measurements/vertex_queries.py --out docs/measurements/vertex_queries.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

VERTICES, TOKENS, CHANNELS, HEADS, BATCH = 40_000, 961, 768, 16, 4
ARMS = {"all tokens": "unlisted", "64 tokens per vertex": 64}
FIELDS = ("arm", "vertices", "batch", "chunk", "seconds", "cpu_seconds", "peak_gb", "model_gb")


def peak_gb() -> float:
    """Most memory that this process has had, in GB (10^9 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(edges: str | int, vertices: int, batch: int, chunk: int, threads: int) -> dict:
    """A forward and a backward pass; memory before and after."""
    import torch

    from graphcolumns.models.brain_encoder import brain_encoder

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = brain_encoder(
        vertices,
        queries="vertices",
        tokens=(TOKENS, CHANNELS),
        edges=edges,
        decoder={"heads": HEADS, "dropout": 0.0},
        chunk=chunk,
    )
    tokens, targets = torch.randn(batch, TOKENS, CHANNELS), torch.randn(batch, vertices)
    before = peak_gb()
    wall, cpu = time.perf_counter(), time.process_time()
    loss = (model(tokens).prediction - targets).square().mean()
    loss.backward()
    gradient = next(model.parameters()).grad
    assert gradient is not None
    assert gradient.isfinite().all()
    return {
        "vertices": vertices,
        "batch": batch,
        "chunk": chunk,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gb": peak_gb(),
        "model_gb": before,
    }


def main() -> None:
    """Measures all arms, or one of them for the process that called."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--arm", choices=list(ARMS))
    parser.add_argument("--vertices", type=int, default=VERTICES)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--chunk", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    if given.arm:
        row = measure(ARMS[given.arm], given.vertices, given.batch, given.chunk, given.threads)
        print(json.dumps(row))
        return
    rows = []
    for arm in ARMS:
        for batch in (1, given.batch):
            sizes = ["--vertices", str(given.vertices), "--batch", str(batch)]
            sizes += ["--chunk", str(given.chunk), "--threads", str(given.threads)]
            command = [sys.executable, __file__, "--arm", arm, *sizes]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append({"arm": arm, **json.loads(done.stdout.splitlines()[-1])})
            print(rows[-1], flush=True)
    if given.out:
        with given.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            writer.writerows({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
                             for row in rows)  # fmt: skip


if __name__ == "__main__":
    main()
