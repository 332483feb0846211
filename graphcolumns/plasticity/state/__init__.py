"""What rides along with its edge: parameters, moments of optimizers, moving averages, buffers.

``carry`` moves all of it through a ``Rewiring``; ``newborn`` says what new edges start from.
Whatever is kept per edge must come through here, or it belongs to the wrong edge afterwards.
"""
