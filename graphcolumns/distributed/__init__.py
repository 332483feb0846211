"""Several processes that train one model together: who has which columns, and what they exchange.

``partition`` cuts a sheet and ``halo`` brings the rows that a rank needs of others; ``consensus``
compares what all must agree on. Without ``torch.distributed`` nothing here is called.
"""
