"""What edge_scores returns: sums over samples, so that batches and replicas simply add."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class EdgeScores:
    r"""Sums over samples for pairs (target, source), every tensor ``[P]``.

    Each entry says first what is summed over steps and heads for one sample. Read the fields under
    *edges* for pairs that are edges and those under *candidates* for pairs that are not: the other
    half is finite and means nothing. Effects are changes of the loss, so negative is good.

    Attributes:
        samples: How many samples were added; divide by it for means.
        mass: Edges. The attention :math:`p`, averaged over steps and heads.
        bias_gradient: Edges. :math:`p A = \partial L / \partial b`, the gradient of a score that
            all heads share.
        attention_gradient: Edges. :math:`|\sum p A|`, absolute in each sample.
        deletion: Edges. :math:`u = -\frac{p}{1 - p} A`, the effect of deleting the edge.
        deletion_squares: Edges. :math:`u^2`.
        would_be: Candidates. The attention :math:`a` they would get, averaged over steps and heads.
        advantage: Both. :math:`A = g^\top (v_j - \mathrm{out}_i)`, free of any mass.
        gate: Candidates. :math:`\rho A = \partial L / \partial m` at zero mass :math:`m`.
        insertion: Candidates. :math:`u = a A`, the effect of inserting the edge.
        insertion_squares: Candidates. :math:`u^2`.
    """

    samples: int
    mass: Tensor
    bias_gradient: Tensor
    attention_gradient: Tensor
    deletion: Tensor
    deletion_squares: Tensor
    would_be: Tensor
    advantage: Tensor
    gate: Tensor
    insertion: Tensor
    insertion_squares: Tensor

    @classmethod
    def of(cls, samples: int, sums: Tensor) -> EdgeScores:
        """From the rows of ``sums [10, P]``, in the order of the attributes."""
        return cls(samples, *sums.unbind(0))

    def sums(self) -> Tensor:
        """``[10, P]``, what replicas have to add, in the order of the attributes."""
        return torch.stack([getattr(self, field.name) for field in fields(self)[1:]])

    def __len__(self) -> int:
        return len(self.mass)

    def __add__(self, other: EdgeScores) -> EdgeScores:
        """The sums over the samples of both, for the same pairs."""
        return self.of(self.samples, self.sums()).add_(other)

    def add_(self, other: EdgeScores) -> EdgeScores:
        """As ``+``, into the tensors of this one, which is no longer what it was."""
        if len(self) != len(other):
            raise ValueError(
                f"scores add up for the same list of pairs, got {len(self)} and {len(other)} pairs"
            )
        for field in fields(self)[1:]:
            getattr(self, field.name).add_(getattr(other, field.name))
        return replace(self, samples=self.samples + other.samples)

    def at(self, index: Tensor | slice) -> EdgeScores:
        """The sums of some of the pairs."""
        kept = {field.name: getattr(self, field.name)[index] for field in fields(self)[1:]}
        return replace(self, **kept)
