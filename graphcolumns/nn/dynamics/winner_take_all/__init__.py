"""Winner-take-all: excitatory units that compete through inhibitory units.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
