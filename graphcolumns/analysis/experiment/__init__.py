"""An experiment: arms x variants x seeds, tuned alike, as raw rows, one table and one figure."""

from graphcolumns.analysis.experiment.definition import Experiment, read_experiment
from graphcolumns.analysis.experiment.figure import figure
from graphcolumns.analysis.experiment.interval import Interval, mean_interval, paired_interval
from graphcolumns.analysis.experiment.page import page
from graphcolumns.analysis.experiment.rows import Rows

__all__ = [
    "Experiment",
    "Interval",
    "Rows",
    "figure",
    "mean_interval",
    "page",
    "paired_interval",
    "read_experiment",
]
