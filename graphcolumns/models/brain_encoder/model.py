"""From the tokens of an image, through queries, to the responses of vertices."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.input_tokens import check_type, named_input
from graphcolumns.models.brain_encoder.on_edges import Decoder
from graphcolumns.models.brain_encoder.position import TokenPosition
from graphcolumns.models.brain_encoder.readout import VertexReadout
from graphcolumns.nn.batches import Inputs
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.protocols import ModelOutput
from graphcolumns.nn.recording import evaluating, recorders
from graphcolumns.nn.topology_state import keep_topology


class BrainEncoder(nn.Module):
    r"""Learned queries receive tokens of an image along edges, and vertices read the queries.

    .. math::
        T = \mathrm{decoder}(x + p,\; x), \qquad
        y_v = \sum_{r \in \mathcal{R}(v)} (w_v^\top T_r + b_v)

    with tokens :math:`x` and the code :math:`p` of their places. Queries stand for regions,
    hemispheres, single vertices, or places on the cortical surface: which vertices read which query
    is the graph of the read-out.

    Args:
        decoder: Decoder from tokens to queries, such as :class:`QueryDecoder`.
        readout: Read-out from queries to vertices.
        position: Code of the places of tokens (default: none).
        project: Map from the width of the tokens to that of the decoder (default: none).
        backbone: Module that makes tokens ``[B, M, F]`` of images, or None: inputs are tokens.
        train_backbone: Whether the backbone learns too; else it stays in evaluation mode and gets
            no gradients.
        features: Name of the input, where inputs are a mapping.
        chunk: Number of queries that are computed together, where every vertex has a query of its
            own: memory of the backward pass is that of one part, whose forward pass is repeated.
            None: all at once.

    Shapes:
        - inputs: tokens ``[B, M, F]``, or images for the backbone; alone or in a mapping
        - prediction: ``[B, V]``
        - state: ``[R, B, C]``, the queries; None with ``chunk``

    Raises:
        ValueError: A read-out of other queries than the decoder has, a chunk below one, or one
            where queries are shared; a frozen backbone that is to learn; when called, other tokens
            than the decoder has.
        TypeError: When called, tokens of another type than the weights.
        KeyError: When called, an input that is not there.

    Source: Adeli et al., Transformer brain encoders explain human high-level visual responses,
    NeurIPS 2025, https://arxiv.org/abs/2505.17329.
    """

    def __init__(
        self,
        decoder: Decoder,
        readout: VertexReadout,
        *,
        position: TokenPosition | None = None,
        project: nn.Module | None = None,
        backbone: nn.Module | None = None,
        train_backbone: bool = False,
        features: str = "features",
        chunk: int | None = None,
    ) -> None:
        super().__init__()
        if readout.graph.num_sources != decoder.num_queries:
            raise ValueError(
                "vertices must read the queries of the decoder. Expected a read-out of "
                f"{decoder.num_queries} queries. Got {readout.graph}."
            )
        if chunk is not None:
            check_counts(chunk=chunk)
            if not (readout.one_to_one and decoder.by_rows):
                raise ValueError(
                    "queries can be computed in parts where every vertex has its own and the "
                    f"decoder takes rows. Got {type(decoder).__name__} and {readout.graph}; leave "
                    "chunk=None, or read by one_per_vertex."
                )
        check_position(position, decoder)
        if decoder.graph is not None:
            # The edges of both may be the same: names tell values per edge apart.
            decoder.rewired(decoder.graph.named("tokens"))
        readout.rewired(readout.graph.named("readout"))
        self.decoder, self.readout, self.position = decoder, readout, position
        self.project, self.backbone = project, backbone
        self.train_backbone, self.features, self.chunk = train_backbone, features, chunk
        if train_backbone and getattr(backbone, "frozen", False):
            raise ValueError(
                "train_backbone=True needs a backbone that learns. Got a frozen "
                f"{type(backbone).__name__}; pass frozen=False to it."
            )
        if backbone is not None and not train_backbone:
            backbone.requires_grad_(False).eval()
        keep_topology(self)

    @property
    def graphs(self) -> Mapping[str, ColumnGraph]:
        """``"tokens"``, tokens to queries, where they are a list of edges, and ``"readout"``."""
        graphs = {} if self.decoder.graph is None else {"tokens": self.decoder.graph}
        return graphs | {"readout": self.readout.graph}

    @property
    def graph(self) -> ColumnGraph:
        """The first graph."""
        return next(iter(self.graphs.values()))

    def rewired(self, graph: ColumnGraph, name: str | None = None) -> None:
        """Takes other edges: the decoder and the read-out keep them."""

    def train(self, mode: bool = True) -> BrainEncoder:
        """Training mode, except for a backbone that does not learn."""
        super().train(mode)
        if self.backbone is not None and not self.train_backbone:
            self.backbone.eval()
        return self

    def forward(self, inputs: Inputs) -> ModelOutput:
        """The responses to a batch of images or tokens."""
        keys, values = self.tokens(inputs)
        recorded = any(layer.recorder is not None for layer in recorders(self))
        if self.chunk is None or recorded:
            state = self.decoder(keys, values)
            return ModelOutput(self.readout(state), state)
        bounds = [*range(0, self.decoder.num_queries, self.chunk), self.decoder.num_queries]
        prepared = self.decoder.prepare(keys, values)
        parts = [self._part(prepared, slice(*ends)) for ends in pairwise(bounds)]
        return ModelOutput(torch.cat(parts, dim=1))

    def tokens(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Keys and values of the decoder, ``[M, B, C]`` each."""
        found = self._tokens(inputs)
        count = self._num_tokens()
        if found.ndim != 3 or count not in (None, found.shape[1]):
            raise ValueError(
                f"tokens must be [B, M, F]{'' if count is None else f' with M = {count}'}. Got "
                f"{list(found.shape)}; a map [B, F, Y, X] becomes tokens by "
                ".flatten(2).transpose(1, 2)."
            )
        # Columns first, once, or every op that reads the tokens copies them again.
        values = found.transpose(0, 1).contiguous()
        values = values if self.project is None else self.project(values)
        channels = self.readout.weight.shape[1]
        if values.shape[2] != channels:
            raise ValueError(
                f"tokens must have the width of the decoder, {channels}. Got {values.shape[2]}; "
                "pass project=torch.nn.Linear(...), or build the encoder for such tokens."
            )
        return (values if self.position is None else values + self.position()), values

    @torch.no_grad()
    def attention(
        self, inputs: Inputs, queries: slice | None = None, heads: bool = False
    ) -> Tensor:
        """The weight of every token for queries, without dropout.

        Args:
            inputs: Tokens or images, as the model is called with.
            queries: Queries to look at (default: all).
            heads: Whether heads are kept apart, or their mean is taken.

        Returns:
            ``[R, B, M]``, or ``[R, B, H, M]`` with ``heads``; 0 where no edge is.
        """
        with evaluating(self):
            keys, values = self.tokens(inputs)
            weights = self.decoder.attention(keys, values, queries)
        return weights if heads else weights.mean(2)

    def describe(self) -> str:
        """What the model is, in one sentence."""
        count = sum(p.numel() for p in self.parameters() if p.requires_grad)
        edges = self.decoder.graph
        along = "all tokens" if edges is None else f"{edges.num_edges:,} edges from tokens"
        return (
            f"A brain encoder of {self.decoder.num_queries:,} queries on {along}, read by "
            f"{self.readout.graph.num_columns:,} vertices, with {count:,} parameters that learn."
        )

    def _part(self, prepared: Any, rows: slice) -> Tensor:
        """Responses of some vertices; what happened in between is computed again backward."""

        def run() -> Tensor:
            responses: Tensor = self.readout(self.decoder.states(prepared, rows), rows)
            return responses

        if not torch.is_grad_enabled():
            return run()
        responses: Tensor = checkpoint(run, use_reentrant=False)
        return responses

    def _tokens(self, inputs: Inputs) -> Tensor:
        given = named_input(inputs, self.features)
        if self.backbone is None:
            check_type(given, self.readout.weight)
            return given
        with torch.set_grad_enabled(self.train_backbone and torch.is_grad_enabled()):
            tokens: Tensor = self.backbone(given)
        return tokens

    def _num_tokens(self) -> int | None:
        if self.decoder.graph is not None:
            return self.decoder.graph.num_sources
        return None if self.position is None else len(self.position.place)


def check_position(position: TokenPosition | None, decoder: Decoder) -> None:
    """Raise unless a code is of the tokens that the edges of a decoder come from."""
    graph = decoder.graph
    if position is None or graph is None or len(position.place) == graph.num_sources:
        return
    raise ValueError(
        "the code of places must be of the tokens that queries attend to. Expected "
        f"{graph.num_sources}. Got {len(position.place)}."
    )
