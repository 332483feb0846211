"""Small columnformers, of one sheet and of several, one per ingredient."""

import torch
from torch import Tensor, nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.columnformer import Columnformer, sheet
from graphcolumns.models.staged_columnformer import StagedColumnformer, staged

GEOMETRY = grid.stack([4, 4])
# Every ingredient once; a new one is one line and survives everything below, or does not.
VARIANTS = {
    "default": {},
    "selection": {"attention": {"mode": "selection"}},
    "mixing": {"attention": {"mode": "mixing", "edge_bias": "both"}},
    "linear mixing": {
        "attention": {"mode": "linear_mixing", "edge_bias": "head", "local_sigma": 1.0}
    },
    "identity": {"attention": {"mode": "identity", "edge_bias": "none"}},
    "mixture": {"weights": {"attention": "mixture", "dropout": 0.2}},
    "low rank": {"weights": {"attention": "lowrank", "rank": 2}},
    "shared": {"weights": {"attention": "shared", "mlp": "mixture"}},
    "feed-forward": {"weights": {"recurrent": False}, "interface": {"drive": "initial"}},
    "first": {
        "attention": {"value": "input", "qk_channels": 3, "skip": False},
        "interface": {"inputs": "first_sheet"},
    },
    "in time": {
        "interface": {"time_embedding": True, "outputs": "last_sheet"},
        "cost": {"wiring": "distance"},
    },
    "recomputed": {
        "cost": {"memory": "recompute"},
        "weights": {"dropout": 0.2},
        "attention": {"edge_dropout": 0.2},
    },
    "communicable": {"cost": {"wiring": "communicability"}},
    "spatial": {
        "interface": {"readout": "spatial"},
        "cost": {"wiring": "gaussian"},
        "attention": {"edge_dropout": 0.2},
    },
}


def make(**options) -> Columnformer:
    torch.manual_seed(3)
    graph = connect.nearest(GEOMETRY, 7)
    sizes = {"image_size": 4, "in_channels": 1, "num_classes": 5, "channels": 8, "depth": 3}
    return sheet(GEOMETRY, graph, **(sizes | {"heads": 2} | options))


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


SHEETS = (grid.sheet(8, 8), grid.sheet(4, 4, spacing=2.0), grid.sheet(2, 2, spacing=4.0))
STAGED = {
    "dynamic": {},
    "static": {"static_pool": True, "cost": {"wiring": "gaussian"}},
    "untied": {"weights": {"attention": "untied", "recurrent": True}, "depths": (2, 3, 3)},
    "low rank": {"weights": {"attention": "lowrank", "rank": 2}, "cost": {"wiring": "distance"}},
    "recomputed": {
        "cost": {"memory": "recompute"},
        "weights": {"dropout": 0.2},
        "attention": {"edge_dropout": 0.2},
    },
    "one block": {"depths": (1, 1, 1), "experts": (2, 2, 2)},
}


def make_staged(sheets=SHEETS, **options) -> StagedColumnformer:
    torch.manual_seed(3)
    sizes = {"image_size": 8, "in_channels": 1, "num_classes": 5, "depths": (2, 2, 2)}
    return staged(sheets, **(sizes | {"channels": 16, "heads": 2} | options))
