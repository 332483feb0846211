"""Data sets in memory: readers and generators, each a function that returns a `Dataset`."""

from graphcolumns.data.dataset import Dataset
from graphcolumns.data.digits import digits
from graphcolumns.data.image_folder import image_folder
from graphcolumns.data.matching import matching
from graphcolumns.data.mnist import mnist
from graphcolumns.data.natural_patches import natural_patches
from graphcolumns.data.planted import planted

__all__ = ["Dataset", "digits", "image_folder", "matching", "mnist", "natural_patches", "planted"]
