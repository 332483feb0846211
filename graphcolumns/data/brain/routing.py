"""The truth about simulated responses: where every region reads."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from graphcolumns.geometry import Regions

FAMILIES = ("retinotopic", "content", "mixed", "linear", "noise")


class Routing(NamedTuple):
    """Where every region of simulated responses reads.

    Attributes:
        regions: Regions, with their families.
        kinds: Kind of object that each region reads, ``[R]`` int64, -1 where it reads none.
        centres: Centre of each receptive field that never moves, row and column in patches,
            ``[R, 2]``, NaN where there is none.
        fields: Weights of those fields, ``[R, M]``, of norm 1, or 0 where there is none.
        train_places: Token that holds the object of each region, ``[n, R]`` int64, -1 where it
            reads none; of the training samples.
        test_places: The same of the test samples, ``[n, R]`` int64.
        linear_limit: Share of the signal of each vertex that the best linear function of all
            tokens explains, ``[V]``, with any number of samples.
    """

    regions: Regions
    kinds: Tensor
    centres: Tensor
    fields: Tensor
    train_places: Tensor
    test_places: Tensor
    linear_limit: Tensor

    def family_of_vertex(self, family: str) -> Tensor:
        """Whether each vertex is in a region of a family, ``[V]`` bool."""
        chosen = [name == family for name in self.regions.families]
        return self.regions.masks[chosen].any(0)

    def required(self, share: float = 0.1) -> Tensor:
        """Whether a query of each region needs an edge from each token, ``[R, M]`` bool.

        All tokens, where the region reads an object or is linear; none for regions of noise.

        Args:
            share: Least weight of a token in a receptive field, relative to the largest.
        """
        families = self.regions.families
        anywhere = self.regions.masks.new_tensor(
            [f in ("content", "mixed", "linear") for f in families]
        )
        least = share * self.fields.amax(1, keepdim=True)
        return anywhere[:, None] | ((self.fields >= least) & (self.fields > 0))
