"""Options of Counter-Hebbian learning that concern top-down weights, and what they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from graphcolumns.learning.top_down_updates import own_weights
from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.top_down import DirectFeedback, TopDownNetwork

TopDownUpdate = Literal["mirrored", "fixed", "weight_mirror", "direct"]
NoisePer = Literal["update", "weight"]


@dataclass(frozen=True)
class TopDownOptions:
    """The options of ``counter_hebb`` that concern top-down weights, which check each other.

    Args:
        top_down: What own top-down weights learn.
        noise: Standard deviation of a factor on mirrored products.
        noise_per: Whether there is one factor per update or per weight.
        decay: Number times the weight that is added to gradients.
        mirror_rate: Rate of a weight mirror.
        mirror_decay: Decay of its weights.
        mirror_samples: Number of samples of noise, or None.

    Raises:
        ValueError: Options out of range, or that do not go together.
    """

    top_down: str
    noise: float
    noise_per: str
    decay: float
    mirror_rate: float
    mirror_decay: float
    mirror_samples: int | None

    def __post_init__(self) -> None:
        check_choice("top_down", self.top_down, get_args(TopDownUpdate))
        check_choice("noise_per", self.noise_per, get_args(NoisePer))
        for name in ("noise", "decay", "mirror_rate", "mirror_decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more. Got {getattr(self, name)!r}.")
        if self.mirror_samples is not None:
            check_counts(mirror_samples=self.mirror_samples)
        if self.noise and self.top_down != "mirrored":
            raise ValueError(
                "noise is noise on mirrored updates. Expected top_down='mirrored'. Got "
                f"{self.top_down!r} and noise={self.noise!r}; leave noise out."
            )
        mirrors = (self.mirror_rate, self.mirror_decay, self.mirror_samples)
        if self.top_down != "weight_mirror" and mirrors != (1.0, 1.0, None):
            raise ValueError(
                "mirror_rate, mirror_decay and mirror_samples are those of a weight mirror. "
                f"Expected top_down='weight_mirror'. Got {self.top_down!r}; leave them out."
            )

    @property
    def needs_own_weights(self) -> bool:
        """Whether the rule says something about top-down weights of their own."""
        return self.top_down in ("fixed", "weight_mirror") or bool(self.noise)


def check_model(model: Any, options: TopDownOptions, amp: str | None) -> None:
    """Raises where a model does not have what the options need.

    Args:
        model: Model.
        options: Options of the rule.
        amp: Precision of products.

    Raises:
        TypeError: The model has no network with a top-down pass.
        ValueError: Layers without own top-down weights, no direct feedback, layers with direct
            feedback and another rule, or ``amp``.
    """
    network = getattr(model, "network", None)
    if not isinstance(network, TopDownNetwork):
        raise TypeError(
            "counter_hebb trains models with a network that has a top-down pass. Got "
            f"{type(model).__name__}; take models.bottom_up_top_down.BottomUpTopDown, or "
            "learn=backprop."
        )
    if amp is not None:
        raise ValueError(f"the passes are not run in half precision. Got amp={amp!r}; pass None.")
    if options.needs_own_weights and not any(own_weights(network)):
        of_layers = (getattr(layer, "feedback", None) for layer in network.layers)
        kinds = sorted({kind for kind in of_layers if kind is not None} or {"none"})
        raise ValueError(
            f"top_down={options.top_down!r}, noise={options.noise:g} needs layers with top-down "
            f"weights of their own. Got feedback={', '.join(map(repr, kinds))}; build them with "
            "feedback='independent' or 'copied'."
        )
    if options.top_down != "direct" and _has_direct(network):
        raise ValueError(
            "layers with feedback='direct' pass no error on. Expected top_down='direct'. Got "
            f"{options.top_down!r}; pass top_down='direct', or build layers with feedback='tied'."
        )
    direct = getattr(model, "direct_feedback", None)
    if options.top_down == "direct" and not isinstance(direct, DirectFeedback):
        raise ValueError(
            "top_down='direct' needs a model with random matrices, model.direct_feedback. Got "
            f"{type(direct).__name__}; build its layers with feedback='direct'."
        )


def _has_direct(network: TopDownNetwork) -> bool:
    return any(getattr(layer, "feedback", None) == "direct" for layer in network.layers)
