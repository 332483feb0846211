"""Zeroing networks: circuits that solve linear systems while these change in time.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
