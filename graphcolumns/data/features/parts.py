"""What is read of a layer: its output, or queries, keys or values of its attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from graphcolumns.data.features.tokens import tensor_of
from graphcolumns.geometry.checks import check_choice

OUTPUT = "output"
PROJECTIONS = ("query", "key", "value")
PARTS = (OUTPUT, *PROJECTIONS)
# One projection to queries, keys and values, in this order.
FUSED = ("qkv", "Wqkv", "in_proj")
SEPARATE = {
    "query": ("query", "q_proj", "to_q", "wq", "q"),
    "key": ("key", "k_proj", "to_k", "wk", "k"),
    "value": ("value", "v_proj", "to_v", "wv", "v"),
}


class Tap(NamedTuple):
    """Place where a forward pass is read.

    Attributes:
        module: Module whose forward is read.
        read: Function of its ``args``, ``kwargs`` and output that returns a tensor.
        images_first: Whether that tensor is ``[B, M, D]`` for certain.
    """

    module: nn.Module
    read: Callable[[tuple[Any, ...], dict[str, Any], Any], Tensor]
    images_first: bool = False


def tap_of(module: nn.Module, layer: str, part: str) -> Tap:
    """The place in a module where one part of a layer is read.

    Args:
        module: Module that has the layer.
        layer: Name of the layer: for a projection the attention, or a block with one attention.
        part: ``"output"``, or ``"query"``, ``"key"`` or ``"value"``: the output of that
            projection, all heads side by side.

    Raises:
        ValueError: A part that there is not, or not exactly one such projection in the layer.
    """
    check_choice("part", part, PARTS)
    inside = module.get_submodule(layer)
    if part == OUTPUT:
        return Tap(inside, lambda args, kwargs, output: tensor_of(output, layer))
    found = {
        where: sub
        for name, sub in inside.named_modules()
        if _projects(where := f"{layer}.{name}" if name else layer, sub, part)
    }
    if len(found) != 1:
        raise ValueError(
            f"part={part!r} needs a layer with one projection to it: nn.MultiheadAttention, or a "
            f"layer named {', '.join((*FUSED, *SEPARATE[part]))}. Got "
            f"{', '.join(found) or 'none'} in {layer!r}; name "
            f"{'one attention layer' if found else 'the attention layer'}."
        )
    where, sub = next(iter(found.items()))
    if isinstance(sub, nn.MultiheadAttention):
        return Tap(sub, _of_multihead(sub, part), images_first=True)
    if where.rpartition(".")[2] in FUSED:
        _check_fused(sub, where)
        return Tap(sub, _third(where, part))
    return Tap(sub, lambda args, kwargs, output: tensor_of(output, where))


def _projects(where: str, module: nn.Module, part: str) -> bool:
    last = where.rpartition(".")[2]
    return isinstance(module, nn.MultiheadAttention) or last in (*FUSED, *SEPARATE[part])


def _check_fused(module: nn.Module, where: str) -> None:
    weight = getattr(module, "weight", None)
    shape = tuple(weight.shape) if torch.is_tensor(weight) else None
    if shape is not None and len(shape) == 2 and shape[0] % 3:
        raise ValueError(
            f"{where!r} must project to queries, keys and values of the same width, [3 D]. Got "
            f"{shape[0]} values; read its part='output' and take what you need."
        )


def _third(where: str, part: str) -> Callable[[Any, Any, Any], Tensor]:
    place = PROJECTIONS.index(part)

    def read(args: Any, kwargs: Any, output: Any) -> Tensor:
        return tensor_of(output, where).chunk(3, dim=-1)[place]

    return read


def _of_multihead(module: nn.MultiheadAttention, part: str) -> Callable[[Any, Any, Any], Tensor]:
    # Its projections are parameters, not layers: they are applied to what it was called with.
    place = PROJECTIONS.index(part)

    def read(args: Any, kwargs: Any, output: Any) -> Tensor:
        x = kwargs[part] if part in kwargs else args[place]
        packed, own = module.in_proj_weight, getattr(module, f"{part[0]}_proj_weight")
        weight = own if packed is None else packed.chunk(3)[place]
        bias = module.in_proj_bias
        result = functional.linear(x, weight, None if bias is None else bias.chunk(3)[place])
        return result if module.batch_first else result.transpose(0, 1)

    return read
