"""Projection networks: circuits whose fixed points solve programs with convex constraints.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
