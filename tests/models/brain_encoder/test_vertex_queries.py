"""A query per vertex: memory of a step grows with vertices, never with their square."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphcolumns.models.brain_encoder import brain_encoder

SCRIPT = Path(__file__).parents[3] / "docs" / "measurements" / "vertex_queries.py"


def saved(vertices, chunk):
    """The number of values of each tensor that is kept for the backward pass."""
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
    return sizes


def test_no_tensor_grows_with_vertices_squared():
    # All at once, where every tensor is seen: at most attention, 2 samples, 36 tokens, 4 heads.
    # A read-out of all 4000 vertices from all queries would have 4000 values more per vertex.
    assert max(saved(4000, None)) <= 4000 * 2 * 36 * 4 < 4000 * 4000


def test_parts_keep_nothing_of_what_is_computed_again():
    assert sum(saved(4000, 250)) < sum(saved(4000, None)) / 10


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
