"""Predictive coding: networks of layers that predict each other, and settle on the errors.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
