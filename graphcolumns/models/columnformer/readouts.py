"""The readouts that a sheet can have, by name."""

import torch
from torch import Tensor, nn

from graphcolumns.models.options import InterfaceOptions
from graphcolumns.nn.readout import ColumnReadout, MeanReadout, SpatialReadout


def make_readout(
    interface: InterfaceOptions, tokens: int, channels: int, num_classes: int, user: Tensor
) -> nn.Module:
    """The readout of a sheet.

    Args:
        interface: Which readout, and of which columns.
        tokens: ``P``, the number of columns in the last sheet.
        channels: ``C``.
        num_classes: ``K``.
        user: The user's id of each column, ``[N]``.

    Raises:
        ValueError: Another number of answers than of columns that answer.
    """
    first = 0 if interface.outputs == "all" else len(user) - tokens
    if interface.readout == "columns":
        columns = user.argsort()[first:]
        _check_answers(len(columns), num_classes)
        return ColumnReadout(channels, columns, interface.readout_weights)
    read = torch.where(user >= first)[0] if first else None
    if interface.readout == "mean":
        return MeanReadout(channels, num_classes, read)
    return SpatialReadout(len(user) - first, channels, num_classes, read)


def _check_answers(columns: int, num_classes: int) -> None:
    if columns != num_classes:
        raise ValueError(
            f"readout='columns' gives one answer per column. Expected {columns} values per sample, "
            "one for each column that is read, such as the responses of the vertices of the same "
            f"surface. Got {num_classes}; take a sheet with one column per answer (the "
            "medial wall is left out of responses and columns, or of neither; "
            "outputs='last_sheet' reads the last sheet of a stack), or readout='mean'."
        )
