"""The readouts that a sheet can have, by name."""

import torch
from torch import Tensor, nn

from graphcolumns.nn.checks import check_choice
from graphcolumns.nn.readout import ColumnReadout, MeanReadout, SpatialReadout

READOUTS = ("mean", "spatial", "columns")


def make_readout(
    readout: str, weights: str, channels: int, num_classes: int, user: Tensor, first: int
) -> nn.Module:
    """The readout of a sheet.

    Args:
        readout: ``"mean"``, ``"spatial"`` or ``"columns"``.
        weights: ``"shared"`` or ``"untied"``, of ``"columns"``.
        channels: ``C``.
        num_classes: ``K``.
        user: The user's id of each column, ``[N]``.
        first: The first column of the user that is read; so are all after it.

    Raises:
        ValueError: An unknown readout, or another number of answers than of columns that answer.
    """
    check_choice("readout", readout, READOUTS)
    if readout == "columns":
        columns = user.argsort()[first:]
        if len(columns) != num_classes:
            raise ValueError(
                f"readout='columns' gives one answer per column, {len(columns)} here, and the data "
                f"asks for num_classes={num_classes}: take a sheet with one column per answer "
                "(outputs='last_sheet' reads the last sheet of a stack), or readout='mean'"
            )
        return ColumnReadout(channels, columns, weights)
    read = torch.where(user >= first)[0] if first else None
    if readout == "mean":
        return MeanReadout(channels, num_classes, read)
    return SpatialReadout(len(user) - first, channels, num_classes, read)
