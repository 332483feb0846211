"""From scores to swaps: which edges are dropped and which pairs grow, under budget and constraints.

Pure functions of scores and edges: no model, no randomness but the counter's.
Constraints of a new kind belong here, criteria do not.
"""
