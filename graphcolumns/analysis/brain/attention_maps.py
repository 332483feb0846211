"""Where on the image each query of an encoder attends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from graphcolumns.analysis.brain.query_names import positions_of, query_names
from graphcolumns.analysis.brain.token_maps import TokenMaps, on_grid
from graphcolumns.geometry import Regions
from graphcolumns.nn.batches import Inputs, num_samples, select_samples, split_samples
from graphcolumns.nn.checks import check_counts

LARGEST = 2**26  # weights per head, of all heads together, that are in memory at once
HEADS = 16  # that are provided for


def attention_maps(
    model: nn.Module,
    inputs: Inputs,
    regions: Regions | None = None,
    *,
    queries: Sequence[int | str] | None = None,
    grid: tuple[int, int] | None = None,
    average: bool = False,
    batch_size: int = 32,
    progress: bool = False,
) -> TokenMaps:
    """The attention of each query to the places of the image, mean over heads.

    The weights of a query sum to 1 over all tokens, those before the grid included.

    Args:
        model: Encoder with a method ``attention(inputs, queries) -> [R, B, M]``, such as
            :class:`~graphcolumns.models.brain_encoder.BrainEncoder`.
        inputs: Tokens ``[n, M, F]``, or images, as the model is called with.
        regions: Regions of the vertices, which give queries their names.
        queries: Positions or names of queries (default: all).
        grid: Rows and columns of tokens (default: a square, perhaps with a class token before it).
        average: Whether the mean over samples is taken at once, ``n = 1``: memory does not grow
            with the number of samples.
        batch_size: Number of samples that are shown together.
        progress: Whether a bar shows how far it is.

    Raises:
        TypeError: A model without attention.
        ValueError: An unknown query, or tokens that are no grid.

    Source: Adeli et al., Transformer brain encoders explain human high-level visual responses,
    NeurIPS 2025, https://arxiv.org/abs/2505.17329.
    """
    attention = _attention_of(model)
    check_counts(batch_size=batch_size)
    names = query_names(model, regions)
    chosen = positions_of(queries, names)
    tokens = attention(select_samples(inputs, slice(1)), slice(0, 1)).shape[2]
    spans = _spans(chosen, max(1, LARGEST // (HEADS * batch_size * tokens)))
    parts: list[Tensor] = []
    total = torch.zeros(len(chosen), 1, tokens, dtype=torch.float64)
    batches = list(split_samples(inputs, batch_size))
    for batch in tqdm(batches, "attention", unit="batch", disable=not progress):
        weights = torch.cat([attention(batch, span)[keep].cpu() for span, keep in spans])
        if average:
            total += weights.double().sum(1, keepdim=True)
        else:
            parts.append(weights)
    found = (total / num_samples(inputs)).float() if average else torch.cat(parts, 1)
    return on_grid(found, tuple(names[query] for query in chosen), grid)


def _attention_of(model: nn.Module) -> Callable[[Any, slice], Tensor]:
    method = getattr(model, "attention", None)
    if not callable(method) or isinstance(method, nn.Module):
        raise TypeError(
            "model must have a method attention(inputs, queries). Got "
            f"{type(model).__name__}; gradient_maps takes every model that predicts responses."
        )
    attention: Callable[[Any, slice], Tensor] = method
    return attention


def _spans(chosen: list[int], size: int) -> list[tuple[slice, list[int]]]:
    """Queries one after the other that are computed together, and those of them to keep.

    Together they give the chosen ones in their order.
    """
    spans: list[tuple[slice, list[int]]] = []
    for query in chosen:
        if spans:
            span, keep = spans[-1]
            if span.start <= query < span.start + size:
                stop = max(span.stop, query + 1)
                spans[-1] = (slice(span.start, stop), [*keep, query - span.start])
                continue
        spans.append((slice(query, query + 1), [0]))
    return spans
