"""Criteria, their options and values by the names of earlier versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By the module that a criterion was in.
CRITERIA = {
    "prune": {"bias": "weight_size", "random": "chance", "taylor": "deletion_cost"},
    "grow": {
        "distance": "distance_kernel",
        "insertion": "insertion_gain",
        "random": "chance",
        "rigl_abs": "gradient_size",
        "would_be_attention": "candidate_mass",
    },
}
OPTIONS = {"own": "curvature"}
# By the name of the option today.
VALUES: Mapping[str, Mapping[Any, Any]] = {
    "curvature": {True: "model", False: "labels"},
    "magnitude": {"bias": "weight"},
}
