"""A small tensor that says which edges a module is of, and refuses to become another one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

# A mean of two equal bytes in float32 is off by less, and one of two digests by more, unless the
# weight of the newcomer is below a millionth.
ROUNDING = 1e-4
# What is computed from a seal is none, but for its copies.
SAME_VALUES = {Tensor.detach, Tensor.to, Tensor.cpu, Tensor.cuda, Tensor.clone, Tensor.contiguous}


class Seal(Tensor):
    """Fingerprints as bytes, ``[16 * graphs]`` uint8, kept as a buffer that no forward pass reads.

    A moving average of a model (``torch.optim.swa_utils.AveragedModel``) copies or averages its
    buffers as it averages its parameters. Between two models whose values belong to different
    edges that must not happen: two different seals in one operation are an error.
    """

    @classmethod
    def of(cls, fingerprints: list[str], device: torch.device) -> Seal:
        """The seal of these fingerprints."""
        digest = bytearray.fromhex("".join(fingerprints))
        return torch.tensor(list(digest), dtype=torch.uint8, device=device).as_subclass(cls)

    def __deepcopy__(self, memo: dict[int, Any]) -> Seal:
        return _plain(self).clone().as_subclass(Seal)

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            if func is Tensor.copy_ and isinstance(args[0], cls):
                _require_equal([args[0], args[1]])
                return args[0]
            _require_equal([x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, cls)])
            if getattr(func, "__name__", "").startswith("_foreach") and _all_seals(args[0]):
                return [_plain(seal) for seal in args[0]]
            result = func(*args, **(kwargs or {}))
        return result.as_subclass(cls) if func in SAME_VALUES else result


def _all_seals(tensors: Any) -> bool:
    return isinstance(tensors, list | tuple) and all(isinstance(x, Seal) for x in tensors)


def _plain(tensor: Tensor) -> Tensor:
    return tensor.as_subclass(Tensor)


def _require_equal(seals: list[Any]) -> None:
    if len(seals) < 2 or any(seal.device.type == "meta" for seal in seals):
        return
    first, *others = (_plain(seal).detach().cpu().double() for seal in seals)
    for other in others:
        if first.shape != other.shape or bool(((first - other).abs() > ROUNDING).any()):
            raise RuntimeError(
                "an average must be over models of the same edges. Got a model whose edges have "
                "changed since the average was made, so values of different edges were blended: "
                "pass averages=[average] to Plasticity.update or carry, which bring it along at "
                "every change, or make a new average after a change."
            )
