"""Training a model: the loop, its losses, its optimizer."""

from graphcolumns.random.counter import derive
from graphcolumns.train.evaluate import evaluate
from graphcolumns.train.fit import check_fit
from graphcolumns.train.loop import train
from graphcolumns.train.options import TrainOptions
from graphcolumns.train.terms import TERMS

__all__ = ["TERMS", "TrainOptions", "check_fit", "derive", "evaluate", "train"]
