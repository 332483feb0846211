"""Local learning rules: Hebb, Oja, Sanger, and SoftHebb, as pure functions of weights and inputs.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
