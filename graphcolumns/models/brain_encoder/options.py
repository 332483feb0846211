"""The decoder of a brain encoder, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from graphcolumns.nn.checks import check_counts, check_dropout


@dataclass(frozen=True, kw_only=True)
class DecoderOptions:
    """What the queries of a brain encoder do. A frozen value that checks itself.

    Args:
        channels: Channels of queries (default: width of the tokens); where it differs from the
            width of the tokens, a linear map comes first.
        heads: Number of heads.
        hidden: Width of the MLP.
        layers: Number of steps of every query.
        norm_first: Whether norms come before attention and MLP, or after the sums.
        dropout: Dropout of edges and activations.
        edge_bias: Whether edges have learned scores, a receptive field beside what is compared.

    Raises:
        ValueError: A size below one, or a probability outside [0, 1).
    """

    channels: int | None = None
    heads: int = 16
    hidden: int = 1024
    layers: int = 1
    norm_first: bool = True
    dropout: float = 0.1
    edge_bias: bool = False

    def __post_init__(self) -> None:
        check_counts(heads=self.heads, hidden=self.hidden, layers=self.layers)
        if self.channels is not None:
            check_counts(channels=self.channels)
        check_dropout(dropout=self.dropout)
