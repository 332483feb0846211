"""Sparse coding: locally competitive algorithms, and the conditions of the optimum they reach.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
