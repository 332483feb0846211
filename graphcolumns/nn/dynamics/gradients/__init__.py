"""How gradients of a fixed point are computed: through the steps, implicitly, or in reverse.

A gradient is a frozen value with one function, see ``gradients.gradient``.
"""
