"""The variants of brain encoders, built by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from graphcolumns.connect import complete_between
from graphcolumns.geometry import Regions
from graphcolumns.graph import ColumnGraph
from graphcolumns.models.brain_encoder.cross import CrossAttentionDecoder
from graphcolumns.models.brain_encoder.decoder import QueryDecoder
from graphcolumns.models.brain_encoder.linear import LinearEncoder, num_places
from graphcolumns.models.brain_encoder.model import BrainEncoder
from graphcolumns.models.brain_encoder.options import DecoderOptions
from graphcolumns.models.brain_encoder.readout import Reduce, VertexReadout
from graphcolumns.models.brain_encoder.spatial import SpatialDecoder
from graphcolumns.models.brain_encoder.structure import (
    Edges,
    Queries,
    edges_to_read,
    position_code,
    projection,
    token_edges,
    token_grid,
    token_shape,
)
from graphcolumns.models.options.read_group import read_group
from graphcolumns.nn.checks import check_counts

FEATURES = "features"
DECODER = DecoderOptions()


def brain_encoder(
    num_outputs: int,
    spec: Any = None,
    regions: Regions | None = None,
    *,
    queries: Queries = "regions",
    tokens: tuple[int, int] | None = None,
    grid: tuple[int, int] | None = None,
    edges: Edges = "all",
    decoder: DecoderOptions | Mapping[str, Any] = DECODER,
    position: str = "sine",
    reduce: Reduce = "sum",
    edge_weights: bool = False,
    backbone: nn.Module | None = None,
    train_backbone: bool = False,
    chunk: int | None = None,
) -> BrainEncoder:
    """An encoder whose queries attend to tokens like the decoder of a transformer.

    Args:
        num_outputs: Number of vertices ``V``.
        spec: Spec of a data set, which says the number and width of tokens, or None.
        regions: Regions of the vertices. Those in none get a query of their own, the rest.
        queries: What a query stands for: ``"regions"``, ``"hemispheres"``, ``"vertices"``, names of
            families of regions, or which vertices read which query, a graph ``V <- R``.
        tokens: Number ``M`` and width ``F`` of tokens (default: those of ``spec``).
        grid: Rows and columns of tokens (default: a square, perhaps with a class token before).
        edges: Tokens that queries attend to: ``"all"``; ``"unlisted"``, all without a list of
            edges, which takes less memory and cannot be pruned; a number of random tokens per
            query; or a graph ``R <- M``.
        decoder: What queries do.
        position: Code of the places of tokens: ``"sine"``, ``"learned"`` or ``"none"``.
        reduce: How a vertex in several regions adds what they predict, ``"sum"`` or ``"mean"``.
        edge_weights: Whether edges from queries to vertices have weights that are learned.
        backbone: Module that makes tokens of images (default: inputs are tokens).
        train_backbone: Whether it learns too.
        chunk: Number of vertex queries that are computed together, see :class:`BrainEncoder`.

    Raises:
        ValueError: Options that do not go together, or regions of other vertices.
        TypeError: An option of the decoder that is not there.

    Source: Adeli et al., Transformer brain encoders explain human high-level visual responses,
    NeurIPS 2025, https://arxiv.org/abs/2505.17329.

    Example:
        >>> import torch
        >>> from graphcolumns.geometry import Regions
        >>> from graphcolumns.models.brain_encoder import brain_encoder
        >>> v1, faces = torch.tensor([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0]]).bool()
        >>> regions = Regions.from_masks({"V1": v1, "FFA": faces})
        >>> model = brain_encoder(5, regions=regions, tokens=(9, 16), decoder={"heads": 4})
        >>> model(torch.rand(2, 9, 16)).prediction.shape
        torch.Size([2, 5])
        >>> model.attention(torch.rand(2, 9, 16)).shape  # V1, FFA and the rest
        torch.Size([3, 2, 9])
    """
    options = read_group("decoder", decoder, DECODER)
    check_counts(num_outputs=num_outputs)
    count, width = token_shape(tokens, spec, FEATURES)
    channels = options.channels or width
    read = edges_to_read(queries, regions, num_outputs)
    attend = QueryDecoder(
        token_edges(edges, read.num_sources, count),
        channels,
        options.heads,
        options.hidden,
        layers=options.layers,
        norm_first=options.norm_first,
        dropout=options.dropout,
        edge_bias=options.edge_bias,
    )
    return BrainEncoder(
        attend,
        VertexReadout(read, channels, reduce, edge_weights),
        position=position_code(position, count, channels, grid),
        project=projection(width, options.channels),
        backbone=backbone,
        train_backbone=train_backbone,
        chunk=chunk,
    )


def cross_attention_encoder(
    num_outputs: int,
    spec: Any = None,
    regions: Regions | None = None,
    *,
    queries: Queries = "regions",
    tokens: tuple[int, int] | None = None,
    grid: tuple[int, int] | None = None,
    edges: Edges = "all",
    heads: int = 16,
    dropout: float = 0.0,
    position: str = "sine",
    reduce: Reduce = "sum",
    backbone: nn.Module | None = None,
    chunk: int | None = None,
) -> BrainEncoder:
    """An encoder whose queries receive tokens as they are, weighted by attention.

    Args:
        num_outputs: Number of vertices ``V``.
        spec: Spec of a data set, or None; as the further options, see :func:`brain_encoder`.
        regions: Regions of the vertices.
        queries: What a query stands for.
        tokens: Number and width of tokens.
        grid: Rows and columns of tokens.
        edges: Tokens that queries attend to.
        heads: Number of heads, dividing the width of tokens.
        dropout: Dropout of edges.
        position: Code of the places of tokens.
        reduce: How a vertex adds what its regions predict.
        backbone: Module that makes tokens of images; it does not learn.
        chunk: Number of vertex queries that are computed together.

    Raises:
        ValueError: Options that do not go together, or regions of other vertices.
    """
    check_counts(num_outputs=num_outputs)
    count, width = token_shape(tokens, spec, FEATURES)
    read = edges_to_read(queries, regions, num_outputs)
    attend = token_edges(edges, read.num_sources, count)
    return BrainEncoder(
        CrossAttentionDecoder(attend, width, heads, dropout),
        VertexReadout(read, width, reduce),
        position=position_code(position, count, width, grid),
        backbone=backbone,
        chunk=chunk,
    )


def spatial_feature_encoder(
    num_outputs: int,
    spec: Any = None,
    regions: Regions | None = None,
    *,
    queries: Queries = "regions",
    tokens: tuple[int, int] | None = None,
    edges: Edges = "all",
    reduce: Reduce = "sum",
    backbone: nn.Module | None = None,
) -> BrainEncoder:
    """The factorised encoder: a receptive field per query times weights of features per vertex.

    Args:
        num_outputs: Number of vertices ``V``.
        spec: Spec of a data set, or None; as the further options, see :func:`brain_encoder`.
        regions: Regions of the vertices.
        queries: What a query stands for.
        tokens: Number and width of tokens.
        edges: Tokens that receptive fields are made of, a list.
        reduce: How a vertex adds what its regions predict.
        backbone: Module that makes tokens of images; it does not learn.

    Raises:
        ValueError: Options that do not go together, or regions of other vertices.
    """
    check_counts(num_outputs=num_outputs)
    count, width = token_shape(tokens, spec, FEATURES)
    read = edges_to_read(queries, regions, num_outputs)
    attend = token_edges(edges, read.num_sources, count)
    if not isinstance(attend, ColumnGraph):
        raise ValueError(
            "a receptive field has a weight per edge and needs their list. Got edges='unlisted'; "
            "pass 'all' or a number."
        )
    decoder = SpatialDecoder(attend, width)
    return BrainEncoder(decoder, VertexReadout(read, width, reduce), backbone=backbone)


def linear_encoder(
    num_outputs: int,
    spec: Any = None,
    *,
    tokens: tuple[int, int] | None = None,
    grid: tuple[int, int] | None = None,
    edges: Edges = "all",
    channels: int = 256,
) -> LinearEncoder:
    """An encoder that is linear in the tokens: a convolution, then weights of every vertex.

    Args:
        num_outputs: Number of vertices ``V``.
        spec: Spec of a data set, or None.
        tokens: Number and width of tokens (default: those of ``spec``).
        grid: Rows and columns of tokens.
        edges: Places that vertices read, blocks of 3 by 3 tokens: ``"all"``, a number of random
            ones per vertex, or a graph ``V <- P``.
        channels: Channels of a place.

    Raises:
        ValueError: Options that do not go together, or tokens that are no grid.
    """
    check_counts(num_outputs=num_outputs)
    count, width = token_shape(tokens, spec, FEATURES)
    shape = token_grid(grid, count)
    if shape is None:
        raise ValueError(
            f"a linear encoder needs a grid of tokens. Got {count} tokens that are no square; pass "
            "grid=(Y, X)."
        )
    places = num_places(shape)
    read = token_edges(edges, num_outputs, places)
    graph = read if isinstance(read, ColumnGraph) else complete_between(num_outputs, places)
    return LinearEncoder(graph, width, shape, channels)
