"""One update: propose swaps, try them, rewire, bring state along, and measure.

``Plasticity`` is a rule at work on a model; its methods are the only way to change edges in
training. The other files are its steps, in the order in which ``Plasticity.update`` calls them.
"""
