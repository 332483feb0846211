"""Circuits that descend an energy: the energy transformer and associative memories.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
