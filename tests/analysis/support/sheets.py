"""Small untrained sheets for the tests of analysis."""

import torch

from graphcolumns import connect
from graphcolumns.data import Dataset
from graphcolumns.geometry import Geometry
from graphcolumns.models.columnformer import Columnformer, sheet


def images(size: int = 8, train: int = 20, test: int = 12) -> Dataset:
    labels = torch.arange(max(train, test)) % 3
    draw = torch.rand(max(train, test), 1, size, size)
    return Dataset(draw[:train], labels[:train], draw[:test], labels[:test], 3)


def build(geometry: Geometry, permutation=None, degree: int = 3, size: int = 8, **options):
    """A sheet on a geometry in the order of the model."""
    graph = connect.nearest(geometry, degree)
    common = {"image_size": size, "in_channels": 1, "num_classes": 3, "channels": 4, "heads": 2}
    common |= {"depth": 2, "permutation": permutation, **options}
    model: Columnformer = sheet(geometry, graph, **common)
    return model
