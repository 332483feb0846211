"""Columns in layers: a perceptron whose neurons have places."""

from graphcolumns.models.layered_columns.model import LayeredColumns

__all__ = ["LayeredColumns"]
