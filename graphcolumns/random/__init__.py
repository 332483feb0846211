"""Randomness as a function of what it is for: (seed, purpose, counter), never of a hidden state.

The same numbers come on any device, in any order of calls, at any number of threads, after a
resume. Do not change a draw: published results depend on its bits.
"""
