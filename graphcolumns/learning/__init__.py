"""Learning rules: from a batch to the gradients of parameters.

A rule is a function ``(model, batch, terms, *, scaler, parts, amp) -> values`` that fills ``.grad``
and steps nothing; ``train(..., learn=rule)`` takes one. ``backprop`` shows the
signature.
"""

from graphcolumns.learning.backprop import backprop
from graphcolumns.learning.counter_hebb import counter_hebb
from graphcolumns.learning.layer_angles import LayerAngles, layer_angles
from graphcolumns.learning.predictive_coding import predictive_coding

__all__ = ["LayerAngles", "backprop", "counter_hebb", "layer_angles", "predictive_coding"]
