"""What ``import graphcolumns.train`` says: the name is that of a function."""

raise ImportError(
    "graphcolumns.train is a function, and the package around it is graphcolumns.training. Write "
    "`from graphcolumns import train`, or `from graphcolumns.training import TrainOptions`."
)
