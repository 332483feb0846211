"""Several processes that train one model together.

Without ``torch.distributed`` everything here does nothing, at no cost.
"""
