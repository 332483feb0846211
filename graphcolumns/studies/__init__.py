"""What shipped experiments measure on every trained run, beyond its accuracy.

Functions of a :class:`StudyRun` that return numbers by name; a definition of an experiment names
them under ``analyse``. What is measured on any graph or model is in ``analysis``, not here.
"""

from graphcolumns.studies.column_order import column_order
from graphcolumns.studies.edge_asymmetry import edge_asymmetry
from graphcolumns.studies.feedback_use import feedback_lesions, feedback_retrained
from graphcolumns.studies.retrained import retrained_nulls
from graphcolumns.studies.study_run import Retrained, StudyRun
from graphcolumns.studies.weighted_network import weighted_network
from graphcolumns.studies.wire_and_modules import wire_and_modules

__all__ = [
    "Retrained",
    "StudyRun",
    "column_order",
    "edge_asymmetry",
    "feedback_lesions",
    "feedback_retrained",
    "retrained_nulls",
    "weighted_network",
    "wire_and_modules",
]
