"""Networks whose layers give the tokens that a brain encoder reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from graphcolumns.data.features.described import describe_function
from graphcolumns.data.features.join_layers import join_layers
from graphcolumns.data.features.layers import check_layers
from graphcolumns.data.features.parts import OUTPUT, tap_of
from graphcolumns.data.features.tokens import (
    PATCHES,
    as_tokens,
    check_prefix,
    keep_tokens,
    token_names,
)


class Backbone(Protocol):
    """A network that gives tokens of images, an ``nn.Module``.

    Attributes:
        layers: Names of the layers that are read.
    """

    layers: tuple[str, ...]

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The tokens of every layer by its name, ``[B, M, D]`` each."""

    def __call__(self, images: Tensor) -> Tensor:
        """The tokens of all layers, one layer after the other, ``[B, M, D]``."""

    def described(self) -> dict[str, Any]:
        """What is read and how, as values that JSON has; weights apart."""


class ModuleBackbone(nn.Module):
    """Any module whose layers are read while it runs.

    Args:
        module: Network that takes images ``[B, channels, Y, X]``.
        layers: Name of a layer, such as ``"blocks.11"``, or several. ``layer_names`` lists them.
        part: ``"output"``, or ``"query"``, ``"key"`` or ``"value"``: the output of that projection
            in the attention of the layer, all heads side by side, before any norm of its own.
        prefix: Names of the tokens of a sequence that come before its patches, such as
            ``("cls",)``. Maps have none.
        keep: Tokens to keep: ``"patches"``, ``"all"``, or the name of a token of the prefix.
        batch_dim: Dimension of the images in a sequence that a layer gives: 1 for ``[M, B, D]``.
        preprocessing: Function from images to what the module takes, such as ``Preprocessing``
            (default: they are passed as they are).
        frozen: Whether the module stays in evaluation mode and gets no gradient.

    Shapes:
        - input: images ``[B, channels, Y, X]``
        - output: tokens ``[B, M, D]``; of a map ``M = Y * X``, row by row

    Raises:
        ValueError: A layer that the module does not have, with the nearest names; a part that the
            layer does not have; a ``keep`` that the prefix does not have.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: str | Sequence[str],
        *,
        part: str = OUTPUT,
        prefix: Sequence[str] = (),
        keep: str = PATCHES,
        batch_dim: int = 0,
        preprocessing: Callable[[Tensor], Tensor] | None = None,
        frozen: bool = True,
    ) -> None:
        super().__init__()
        self.layers = check_layers(module, layers)
        for layer in self.layers:
            tap_of(module, layer, part)
        if batch_dim not in (0, 1):
            raise ValueError(f"batch_dim must be 0 or 1. Got {batch_dim}.")
        self.part, self.keep, self.batch_dim = part, keep, batch_dim
        self.prefix = check_prefix(prefix, keep)
        self.preprocessing, self.frozen = preprocessing, frozen
        self.module = module
        self.train(self.training)

    def train(self, mode: bool = True) -> ModuleBackbone:
        """Sets the mode; a frozen module stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.module.eval()
        return self

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """The tokens of every layer by its name, ``[B, M, D]`` each.

        Raises:
            ValueError: A layer that did not run once, or whose output is no map or sequence.
        """
        found: dict[str, list[Tensor]] = {layer: [] for layer in self.layers}
        learns = torch.is_grad_enabled() and not self.frozen
        with ExitStack() as hooks, torch.set_grad_enabled(learns):
            for layer in self.layers:
                self._read(hooks, layer, found[layer])
            self.module(images if self.preprocessing is None else self.preprocessing(images))
            return {
                layer: self._tokens(layer, tensors, len(images)) for layer, tensors in found.items()
            }

    def forward(self, images: Tensor) -> Tensor:
        """The tokens of all layers, one layer after the other, ``[B, M, D]``."""
        return join_layers(self.features(images))

    def described(self) -> dict[str, Any]:
        """What is read and how, as values that JSON has; weights apart."""
        names = ("layers", "part", "prefix", "keep", "batch_dim")
        return {
            **{name: getattr(self, name) for name in names},
            "preprocessing": describe_function(self.preprocessing),
        }

    def token_names(self, images: Tensor) -> dict[str, tuple[str, ...]]:
        """A name for each token of every layer: ``"cls"``, or its place ``"y0x3"`` on the grid.

        Args:
            images: Some images, ``[B, channels, Y, X]``.
        """
        image_size = (int(images.shape[-2]), int(images.shape[-1]))
        return {
            layer: token_names(tokens.shape[1], self.prefix, self.keep, image_size)
            for layer, tokens in self.features(images[:1]).items()
        }

    def _read(self, hooks: ExitStack, layer: str, into: list[Tensor]) -> None:
        tap = tap_of(self.module, layer, self.part)

        def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            into.append(tap.read(args, kwargs, output))

        handle = tap.module.register_forward_hook(hook, with_kwargs=True)
        hooks.callback(handle.remove)

    def _tokens(self, layer: str, tensors: list[Tensor], samples: int) -> Tensor:
        if len(tensors) != 1:
            raise ValueError(
                f"the layer {layer!r} must run once per forward pass. Got {len(tensors)} runs; "
                "name a layer that does, or wrap the module."
            )
        found, tap = tensors[0], tap_of(self.module, layer, self.part)
        tokens = as_tokens(found, layer, samples, 0 if tap.images_first else self.batch_dim)
        is_map = found.ndim == 4
        return tokens if is_map else keep_tokens(tokens, layer, self.prefix, self.keep)
