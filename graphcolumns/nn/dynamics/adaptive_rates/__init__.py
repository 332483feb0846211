"""Circuits whose speed depends on their state: liquid, attentive and fixed-time networks.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
