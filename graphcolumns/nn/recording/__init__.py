"""Records of what layers compute along edges, kept on request while a model runs.

Scores of edges are computed from records, not from the type of a layer.
Nothing is recorded, and nothing is paid, unless somebody asks.
"""
