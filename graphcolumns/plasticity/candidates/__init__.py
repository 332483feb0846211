"""Which pairs may grow: proposals draw them, ``draw`` keeps those that may grow.

Draws are functions of (seed, update, counter) alone, see ``graphcolumns.random``.
A proposal of your own is a callable ``(graph, count, seed, round) -> Pairs``; a rule takes it as
``sampler=lambda edges: proposal``.
"""
