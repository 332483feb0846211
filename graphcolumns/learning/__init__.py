"""Learning rules: from a batch to the gradients of parameters.

A rule is a function ``(model, batch, terms, *, scaler, parts, amp) -> values`` that fills ``.grad``
and steps nothing; ``train(..., learn=rule)`` takes one. ``backprop`` shows the
signature.
"""

from graphcolumns.learning.backprop import backprop

__all__ = ["backprop"]
