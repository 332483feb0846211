"""What changes, when and how much: rules, budgets, schedules, and the presets of the literature.

A preset is a function of the length of a run that returns a ``Rule``; add yours to ``presets``.
Rules are values; ``graphcolumns.plasticity.update`` carries them out.
"""
