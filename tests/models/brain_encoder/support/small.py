"""Small encoders, regions and samples."""

import torch
from torch import nn

from graphcolumns.data import Dataset, Regression
from graphcolumns.geometry import Regions
from graphcolumns.models.brain_encoder import brain_encoder
from graphcolumns.training import TrainOptions

M, F, V = 16, 8, 60
DECODER = {"heads": 2, "hidden": 16, "dropout": 0.0}
FAMILIES = {
    "prf-visualrois": ("V1v", "V1d", "V2v"),
    "floc-bodies": ("EBA",),
    "floc-faces": ("OFA", "FFA-1"),
    "floc-words": ("VWFA-1",),
    "streams": ("early", "ventral"),
}


def regions() -> Regions:
    """Regions of both hemispheres; those of one family do not overlap, families do."""
    masks, families, places = {}, [], torch.arange(V)
    for side, name in enumerate(("lh", "rh")):
        for family, names in FAMILIES.items():
            for number, region in enumerate(names):
                inside = (places % V // 2 + number) % (len(names) + 1) == 0
                masks[f"{name}.{region}"] = inside & (places // (V // 2) == side)
                families.append(family)
    return Regions.from_masks(masks, families, places // (V // 2))


def data(samples: int = 64, seed: int = 0) -> Dataset:
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(2, samples, M, F, generator=draws)
    y = (x @ torch.randn(F, V, generator=draws)).mean(2)
    task = Regression(regions=regions())
    return Dataset({"features": x[0]}, y[0], {"features": x[1]}, y[1], task=task)


def options(**more) -> TrainOptions:
    given = {"steps": 6, "epochs": None, "batch_size": 8, "lr": 1e-2, "progress": False} | more
    return TrainOptions(**given)


def encoder(**more) -> nn.Module:
    torch.manual_seed(more.pop("seed", 0))
    known = {"regions": regions(), "tokens": (M, F), "decoder": DECODER}
    return brain_encoder(V, **(known | more))
