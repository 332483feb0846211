"""Attention in tiles on tensor cores: measured beside the rows of ``ops``, and called by no model.

``windows`` lays columns out, ``kernel`` does the forward pass, ``tiled_attention`` calls it.
"""
