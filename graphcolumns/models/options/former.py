"""Options that were keywords of ``sheet`` and ``staged``, and where they are now."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

FORMER = {
    "attention": "attention.mode",
    "qk_channels": "attention.qk_channels",
    "value": "attention.value",
    "skip_attention": "attention.skip",
    "edge_bias": "attention.edge_bias",
    "local_sigma": "attention.local_sigma",
    "edge_dropout": "attention.edge_dropout",
    "weights": "weights.attention",
    "mlp_weights": "weights.mlp",
    "norm_weights": "weights.norm",
    "rank": "weights.rank",
    "hidden": "weights.hidden",
    "dropout": "weights.dropout",
    "std": "weights.std",
    "recurrent": "weights.recurrent",
    "patch": "interface.patch",
    "stride": "interface.stride",
    "padding": "interface.padding",
    "blur": "interface.blur",
    "embed_weights": "interface.embed_weights",
    "inputs": "interface.inputs",
    "drive": "interface.drive",
    "outputs": "interface.outputs",
    "readout": "interface.readout",
    "readout_weights": "interface.readout_weights",
    "position_embedding": "interface.position_embedding",
    "time_embedding": "interface.time_embedding",
    "receptive": "interface.receptive",
    "wiring": "cost.wiring",
    "wiring_power": "cost.power",
    "wiring_sigma": "cost.sigma",
    "memory": "cost.memory",
}


def names_new_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose error for a keyword of an earlier version says what it is now."""
    known = inspect.signature(function).parameters

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        for name in kwargs:
            if name in FORMER and name not in known:
                raise TypeError(now_called(name))
        return function(*args, **kwargs)

    return called


def now_called(name: str) -> str:
    """The message for a keyword of an earlier version."""
    group, _, field = FORMER[name].partition(".")
    return f'{name} is now {group}.{field}: write {group}={{"{field}": ...}}.'
