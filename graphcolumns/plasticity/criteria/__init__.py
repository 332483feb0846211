"""What an edge is worth, one family of criteria per file.

A criterion is a pure function of `Evidence`; it changes neither model nor graph.
Add a family as a file of its own, and list its functions in `prune` or `grow`.
"""
