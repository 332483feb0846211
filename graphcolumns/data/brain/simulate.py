"""How responses with known routing are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from graphcolumns.data.brain.routing import FAMILIES, Routing
from graphcolumns.data.dataset import Dataset
from graphcolumns.data.regression import Regression
from graphcolumns.geometry import Regions

DISTRACTOR_KINDS = 4


@dataclass(frozen=True)
class RoutedOptions:
    """Arguments of ``routed_responses``: tokens ``[n, size ** 2, channels]``."""

    size: int
    channels: int
    content: int
    regions: Mapping[str, int]
    vertices: int
    distractors: int
    strength: float
    clutter: float
    field: float
    noise: float
    train_count: int
    test_count: int
    seed: int

    @property
    def families(self) -> list[str]:
        """Family of each region."""
        return [family for family, count in self.regions.items() for _ in range(count)]

    @property
    def kinds(self) -> int:
        """Number of kinds of objects that are read."""
        return sum(family in ("content", "mixed") for family in self.families)


class Simulated(NamedTuple):
    """Samples, and the truth about them."""

    data: Dataset
    routing: Routing


class _Weights(NamedTuple):
    # Of the receptive field and of the object, [V, content]; of all tokens, [V, M * content].
    fixed: Tensor
    routed: Tensor
    dense: Tensor


def simulated(options: RoutedOptions) -> Simulated:
    """Tokens ``[n, M, D]`` and responses ``[n, V]`` as ``routed_responses`` defines them."""
    o = options
    draws = torch.Generator().manual_seed(o.seed)
    routing = _regions(o, draws)
    total = routing.regions.num_vertices
    weights = _Weights(
        fixed=_on_sphere(total, o.content, draws),
        routed=_on_sphere(total, o.content, draws),
        dense=_on_sphere(total, o.size**2 * o.content, draws),
    )
    rotation = torch.linalg.qr(torch.randn(o.channels, o.channels, generator=draws)).Q
    of_noise = routing.family_of_vertex("noise").float()

    def half(count: int) -> tuple[Tensor, Tensor, Tensor]:
        inside = torch.randn(count, o.size**2, o.content, generator=draws)
        other, places = _objects(o, count, draws)
        signal = _signal(inside, places, routing, weights)
        noise = (o.noise**2 + of_noise).sqrt() * torch.randn(signal.shape, generator=draws)
        tokens = torch.cat([inside, other], 2) @ rotation.T
        return tokens, signal + noise, _of_regions(places, routing)

    # Test samples first: they do not depend on the number of training samples.
    test, train = half(o.test_count), half(o.train_count)
    task = Regression(noise_ceiling=(1 - of_noise) / (1 + o.noise**2), regions=routing.regions)
    data = Dataset({"features": train[0]}, train[1], {"features": test[0]}, test[1], task=task)
    limit = _linear_limit(routing, weights)
    return Simulated(
        data, routing._replace(linear_limit=limit, train_places=train[2], test_places=test[2])
    )


def _regions(options: RoutedOptions, draws: torch.Generator) -> Routing:
    """Regions with their kinds and receptive fields, and without samples."""
    families, size = options.families, options.size
    names = [
        f"{family} {families[: place + 1].count(family)}" for place, family in enumerate(families)
    ]
    masks = torch.eye(len(families)).repeat_interleave(options.vertices, 1).bool()
    reads = torch.tensor([family in ("content", "mixed") for family in families])
    fixed = torch.tensor([family in ("retinotopic", "mixed") for family in families])
    centres = (size - 1) * torch.rand(len(families), 2, generator=draws)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    grid = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    distance = (centres[:, None] - grid).square().sum(2)
    fields = torch.exp(-distance / (2 * options.field**2))
    fields = fields / fields.norm(dim=1, keepdim=True) * fixed[:, None]
    none = torch.empty(0, len(families), dtype=torch.int64)
    return Routing(
        regions=Regions(masks, tuple(names), tuple(families)),
        kinds=torch.where(reads, reads.cumsum(0) - 1, -1),
        centres=torch.where(fixed[:, None], centres, torch.nan),
        fields=fields,
        train_places=none,
        test_places=none,
        linear_limit=torch.empty(0),
    )


def _objects(o: RoutedOptions, count: int, draws: torch.Generator) -> tuple[Tensor, Tensor]:
    """Channels that say the kind, ``[n, M, channels]``; places of what is read, ``[n, kinds]``."""
    tokens, chosen = o.size**2, o.kinds + o.distractors
    seen = o.clutter * torch.randn(count, tokens, o.channels - o.content, generator=draws)
    place = torch.rand(count, tokens, generator=draws).argsort(1)[:, :chosen]
    other = torch.randint(DISTRACTOR_KINDS, (count, o.distractors), generator=draws)
    kind = torch.cat([torch.arange(o.kinds).expand(count, o.kinds), o.kinds + other], 1)
    seen[torch.arange(count)[:, None], place, kind] += o.strength
    return seen, place[:, : o.kinds]


def _signal(inside: Tensor, places: Tensor, routing: Routing, weights: _Weights) -> Tensor:
    """What responses are without noise, ``[n, V]``, of variance 1 or 0."""
    regions, count = routing.regions, len(inside)
    found = inside.new_zeros(count, regions.num_vertices)
    for region, (mask, family) in enumerate(zip(regions.masks, regions.families, strict=True)):
        fixed = torch.einsum("m,nmc->nc", routing.fields[region], inside) @ weights.fixed[mask].T
        if family == "retinotopic":
            found[:, mask] = fixed
        elif family == "linear":
            found[:, mask] = inside.flatten(1) @ weights.dense[mask].T
        elif family in ("content", "mixed"):
            place = places[:, int(routing.kinds[region])]
            routed = inside[torch.arange(count), place] @ weights.routed[mask].T
            both = (fixed + routed) / (2 + 2 * _overlap(routing, weights)[mask]).sqrt()
            found[:, mask] = routed if family == "content" else both
    return found


def _overlap(routing: Routing, weights: _Weights) -> Tensor:
    """Covariance of what field and object contribute, ``[V]``."""
    seen = (routing.fields.mean(1)[:, None] * routing.regions.masks).sum(0)
    return seen * (weights.fixed * weights.routed).sum(1)


def _linear_limit(routing: Routing, weights: _Weights) -> Tensor:
    """Share of the signal that the best linear function explains, see ``Routing``, ``[V]``."""
    tokens, overlap = routing.fields.shape[1], _overlap(routing, weights)
    one = torch.ones_like(overlap)
    limits = {
        "retinotopic": one,
        "linear": one,
        "noise": 0 * one,
        "content": one / tokens,
        "mixed": (1 + 1 / tokens + 2 * overlap) / (2 + 2 * overlap),
    }
    each = [limits[name] * routing.family_of_vertex(name) for name in FAMILIES]
    return torch.stack(each).sum(0)


def _of_regions(places: Tensor, routing: Routing) -> Tensor:
    """Place of what each region reads, ``[n, R]``, -1 where it reads no object."""
    padded = torch.cat([places, torch.full((len(places), 1), -1)], 1)
    return padded[:, routing.kinds]


def _on_sphere(count: int, size: int, draws: torch.Generator) -> Tensor:
    drawn = torch.randn(count, size, generator=draws)
    return drawn / drawn.norm(dim=1, keepdim=True)
