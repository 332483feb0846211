"""A linear encoder on edges: places on the image to vertices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.input_tokens import check_type, named_input
from graphcolumns.models.brain_encoder.on_edges import OnEdges
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.recording import LinearRecord
from graphcolumns.nn.topology_state import keep_topology
from graphcolumns.ops import edge_linear

FIELD = 3  # tokens along each side that one place sums


class LinearEncoder(OnEdges):
    r"""Responses that are linear in the tokens.

    .. math::
        y_v = b_v + \sum_{p \in \mathcal{N}(v)} w_{vp}^\top z_p

    where :math:`z` is a convolution of the grid of tokens, 3 by 3 with stride 3, without a
    nonlinearity. On complete edges every vertex reads the whole image with weights of its own; on
    few edges, a part of it.

    Args:
        edges: Edges from ``P`` places to ``V`` vertices; a place is a block of 3 by 3 tokens, row
            by row.
        token_channels: Width ``F`` of a token.
        grid: Rows and columns of tokens; those before the grid, such as a class token, are not
            read.
        channels: Channels ``C`` of a place.
        features: Name of the input, where inputs are a mapping.

    Attributes:
        graph: The edges.
        recorder: Called with a :class:`~graphcolumns.nn.recording.LinearRecord` of every pass.
            Normally None; set only while edges are scored or observed.

    Shapes:
        - inputs: tokens ``[B, M, F]``, alone or in a mapping
        - prediction: ``[B, V]``

    Raises:
        ValueError: A size below one, a grid of fewer than 3 by 3 tokens, or edges from another
            number of places; when called, fewer tokens than the grid has, or wider ones.
        TypeError: When called, tokens of another type than the weights.
        KeyError: When called, an input that is not there.
    """

    edge_tensors = ("weight",)
    decayed = ("weight",)
    graph: ColumnGraph

    recorder: Callable[[LinearRecord], None] | None = None

    def __init__(
        self,
        edges: ColumnGraph,
        token_channels: int,
        grid: tuple[int, int],
        channels: int = 256,
        features: str = "features",
    ) -> None:
        super().__init__(edges)
        check_counts(token_channels=token_channels, channels=channels)
        places = num_places(grid)
        if edges.num_sources != places:
            raise ValueError(
                f"edges must come from the places of the grid, blocks of 3 by 3 tokens. Expected "
                f"{places} sources for the grid {tuple(grid)}. Got {edges}."
            )
        self.grid, self.features = (int(grid[0]), int(grid[1])), features
        self.conv = nn.Conv2d(token_channels, channels, FIELD, stride=FIELD)
        self.weight = nn.Parameter(torch.empty(edges.num_edges, channels))
        self.bias = nn.Parameter(torch.empty(edges.num_columns))
        self.reset_parameters()
        keep_topology(self)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draws new weights."""
        self.conv.reset_parameters()
        bound = max(1, self.graph.num_edges / self.graph.num_columns * self.weight.shape[1]) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, inputs: Inputs) -> ModelOutput:
        """The responses to a batch of tokens."""
        tokens = named_input(inputs, self.features)
        check_type(tokens, self.weight)
        height, width = self.grid
        channels = self.conv.in_channels
        if tokens.ndim != 3 or tokens.shape[1] < height * width or tokens.shape[2] != channels:
            raise ValueError(
                f"tokens must be [B, M, F] with M at least {height * width} and F = {channels}. "
                f"Got {list(tokens.shape)}; build the encoder for such tokens."
            )
        pixels = tokens[:, tokens.shape[1] - height * width :].unflatten(1, self.grid)
        places = self.conv(pixels.movedim(3, 1)).flatten(2).permute(2, 0, 1).contiguous()
        return ModelOutput(self._read(places))

    def _read(self, places: Tensor) -> Tensor:
        complete = self.graph.num_edges == self.graph.num_columns * self.graph.num_sources
        if complete and self.recorder is None:
            # All edges of a vertex lie side by side: one product, no sum per channel.
            weight = self.weight.view(self.graph.num_columns, -1)
            return F.linear(places.transpose(0, 1).flatten(1), weight, self.bias)
        summed = edge_linear(places, self.weight, self.graph)
        if self.recorder is not None:
            self.recorder(LinearRecord(self.graph, places, self.weight, summed))
        return (summed.sum(2) + self.bias[:, None]).t()

    def describe(self) -> str:
        """What the model is, in one sentence."""
        count = sum(p.numel() for p in self.parameters())
        return (
            f"A linear encoder of {self.graph.num_columns:,} vertices on "
            f"{self.graph.num_edges:,} edges from {self.graph.num_sources} places, with "
            f"{count:,} parameters."
        )


def num_places(grid: tuple[int, int]) -> int:
    """The number of places ``P`` of a grid of tokens: blocks of 3 by 3.

    Raises:
        ValueError: There is no block.
    """
    places = (grid[0] // FIELD) * (grid[1] // FIELD)
    if places < 1:
        raise ValueError(f"grid must be at least 3 by 3 tokens. Got {tuple(grid)}.")
    return places
