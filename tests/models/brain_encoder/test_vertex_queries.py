"""A query per vertex: memory of a step grows with vertices, never with their square."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphcolumns.models.brain_encoder import brain_encoder

SCRIPT = Path(__file__).parents[3] / "docs" / "measurements" / "vertex_queries.py"


def largest_saved(vertices, chunk):
    """The most values of any tensor that is kept for the backward pass."""
    torch.manual_seed(0)
    model = brain_encoder(
        vertices, queries="vertices", tokens=(36, 16), edges="unlisted", chunk=chunk,
        decoder={"heads": 4, "hidden": 32, "dropout": 0.0},
    )  # fmt: skip
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: sizes.append(t.numel()) or t, lambda t: t
    ):
        model(torch.randn(2, 36, 16)).prediction.sum().backward()
    return max(sizes)


def test_no_tensor_grows_with_vertices_squared():
    # 2 samples, 4000 vertices: 3.2e7 values for a read-out of all vertices from all queries.
    assert largest_saved(4000, 500) <= 4000 * 16 * 2


def test_a_part_keeps_no_more_than_its_own_queries():
    # Beside parameters, which autograd saves as they are.
    assert largest_saved(4000, 250) <= max(4000 * 16, 250 * 2 * 36 * 4)


@pytest.mark.slow
def test_forty_thousand_queries_fit_into_twelve_gigabytes():
    command = [
        sys.executable,
        str(SCRIPT),
        "--arm",
        "all tokens",
        "--vertices",
        "40000",
        "--batch",
        "4",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1])["peak_gb"] < 12
