"""The command line `graphcolumns`, and `load`, which reads a run folder back."""

from graphcolumns.cli.load import load
from graphcolumns.cli.main import main

__all__ = ["load", "main"]
