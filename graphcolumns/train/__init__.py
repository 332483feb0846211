"""Training a model: the loop, its losses, its optimizer."""

from graphcolumns.random.counter import derive
from graphcolumns.train.evaluate import evaluate
from graphcolumns.train.fit import check_fit
from graphcolumns.train.loop import train
from graphcolumns.train.options import check_options
from graphcolumns.train.terms import TERMS

__all__ = ["TERMS", "check_fit", "check_options", "derive", "evaluate", "train"]
