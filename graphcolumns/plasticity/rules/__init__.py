"""What changes, when and how much: rules, budgets, schedules, and the presets of the literature.

A preset is a function of the length of a run that returns a `Rule`; add yours to `presets`.
A rule decides nothing by itself: `graphcolumns.plasticity.update` carries it out.
"""
