"""Train, prune, scale: start a sheet of more columns, or of fewer, from a trained one.

Reads models only through their per-edge and per-column tensors; independent of plasticity.
"""

from graphcolumns.scaling.nearest_columns import nearest_columns
from graphcolumns.scaling.rescale import Rescaling, remove_columns, rescale

__all__ = ["Rescaling", "nearest_columns", "remove_columns", "rescale"]
