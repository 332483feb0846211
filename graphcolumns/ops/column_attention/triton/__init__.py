"""Triton kernels of column attention: forward, and backward by column, by source and in segments.

``backend`` has the signatures of the reference; it alone is called from outside this folder.
Tested on the CPU by Triton's interpreter.
"""
