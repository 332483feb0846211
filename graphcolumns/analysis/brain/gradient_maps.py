"""Which places of the image the predicted response of a region depends on."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from tqdm import tqdm

from graphcolumns.analysis.brain.token_maps import TokenMaps, on_grid
from graphcolumns.geometry import Regions
from graphcolumns.nn.batches import Inputs, split_samples
from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.protocols import prediction_of
from graphcolumns.nn.recording import evaluating


def gradient_maps(
    model: nn.Module,
    inputs: Inputs,
    regions: Regions,
    *,
    grid: tuple[int, int] | None = None,
    name: str | None = None,
    batch_size: int = 32,
    progress: bool = False,
) -> TokenMaps:
    r"""How strongly each token, or pixel, moves the predicted response of each region.

    .. math::
        g_{rm} = \left| \frac{\partial}{\partial x_m} \sum_{v \in r} \hat y_v \right|_2

    with the norm over the channels of a token or pixel. It needs no attention, so models without
    it can be compared with those that have it. Unlike attention it also sees what the values of
    tokens do; vertices whose weights differ in sign cancel in the sum.

    Args:
        model: Model that predicts responses ``[n, V]``.
        inputs: Tokens ``[n, M, F]`` or images ``[n, channels, Y, X]``, alone or in a mapping.
        regions: Regions of the ``V`` vertices.
        grid: Rows and columns of tokens (default: a square, perhaps with a class token before it).
        name: Name of the input to look at, where inputs are a mapping (default: that of the model,
            or the only one).
        batch_size: Number of samples that are shown together.
        progress: Whether a bar shows how far it is.

    Returns:
        Maps ``[R, n, Y, X]``, on the grid of tokens or of pixels, of all regions.

    Raises:
        ValueError: Regions of another number of vertices, an input that no gradient leads to, as
            images before a backbone that does not learn, or tokens that are no grid.
        KeyError: There is no such input.

    Source: Luo et al., Understanding the effective receptive field in deep convolutional neural
    networks, NeurIPS 2016, https://arxiv.org/abs/1701.04128.
    """
    check_counts(batch_size=batch_size)
    batches = list(split_samples(inputs, batch_size))
    with evaluating(model):
        parts = [
            _of_batch(model, batch, regions, name)
            for batch in tqdm(batches, "gradients", unit="batch", disable=not progress)
        ]
    found = torch.cat(parts, 1)
    if found.ndim == 4:
        return TokenMaps(found, found.new_zeros(*found.shape[:2], 0), regions.names)
    return on_grid(found, regions.names, grid)


def _of_batch(model: nn.Module, inputs: Inputs, regions: Regions, name: str | None) -> Tensor:
    """Norms of gradients, ``[R, B, M]`` or ``[R, B, Y, X]``."""
    given, leaf = _with_leaf(model, inputs, name)
    with torch.enable_grad():
        prediction = prediction_of(model(given))
        _check(prediction, regions, leaf)
        masks = regions.masks.to(prediction.device)
        norms = []
        for mask in masks:
            (gradient,) = torch.autograd.grad(
                prediction[:, mask].sum(), leaf, retain_graph=True, allow_unused=True
            )
            if gradient is None:
                raise _no_gradient(leaf)
            norms.append(torch.linalg.vector_norm(gradient, dim=2 if leaf.ndim == 3 else 1).cpu())
    return torch.stack(norms)


def _with_leaf(model: nn.Module, inputs: Inputs, name: str | None) -> tuple[Inputs, Tensor]:
    """The same inputs, and the tensor in them whose gradient is taken."""
    if isinstance(inputs, Tensor):
        leaf = inputs.detach().clone().requires_grad_()
        return leaf, leaf
    chosen = name or getattr(model, "features", None)
    if chosen is None and len(inputs) == 1:
        chosen = next(iter(inputs))
    if not isinstance(chosen, str) or chosen not in inputs:
        raise KeyError(
            f"name must be one of {', '.join(map(repr, inputs))}. Got {chosen!r}; pass name=..."
        )
    leaf = inputs[chosen].detach().clone().requires_grad_()
    return {**inputs, chosen: leaf}, leaf


def _check(prediction: Tensor, regions: Regions, leaf: Tensor) -> None:
    if leaf.ndim not in (3, 4):
        raise ValueError(
            "inputs must be tokens [n, M, F] or images [n, channels, Y, X]. Got "
            f"{list(leaf.shape)}."
        )
    if prediction.ndim != 2 or prediction.shape[1] != regions.num_vertices:
        raise ValueError(
            f"regions must be of the vertices that are predicted. Got {list(prediction.shape)} "
            f"predictions and {regions}; take regions.subset(vertices)."
        )
    if not prediction.requires_grad:
        raise _no_gradient(leaf)


def _no_gradient(leaf: Tensor) -> ValueError:
    kind = "images" if leaf.ndim == 4 else "tokens"
    return ValueError(
        f"a gradient must lead from predictions to the {kind}. Got none; a backbone that does not "
        "learn passes no gradient on: pass tokens, or build the encoder with train_backbone=True."
    )
