"""What every circuit has, and the loop that runs it to a fixed point.

Names for users are in ``graphcolumns.nn.dynamics``.
"""
