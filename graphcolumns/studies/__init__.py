"""What shipped experiments measure on every trained run, beyond its accuracy.

Functions of a :class:`StudyRun` that return numbers by name; a definition of an experiment names
them under ``analyse``. What is measured on any graph or model is in ``analysis``, not here.
"""

from graphcolumns.studies.study_run import Retrained, StudyRun

__all__ = ["Retrained", "StudyRun"]
