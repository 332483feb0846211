"""How a state advances: steps in time, optimizers of the state, Anderson acceleration.

A method is a frozen value with three functions, see ``methods.method``; write your own like these.
"""
