"""Training a model: the loop, its losses, its optimizer."""

from graphcolumns.random.counter import derive
from graphcolumns.training.evaluate import evaluate
from graphcolumns.training.exponential_decay import exponential_decay
from graphcolumns.training.fit import check_fit
from graphcolumns.training.loop import train
from graphcolumns.training.options import TrainOptions
from graphcolumns.training.terms import TERMS

__all__ = ["TERMS", "TrainOptions", "check_fit", "derive", "evaluate", "exponential_decay", "train"]
