"""A learned first guess of what inference will find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Initialiser(nn.Module):
    r"""An amortised first guess: each layer from the guess of the layer before.

    .. math::
        u^0_l = \text{relu}(V_l u^0_{l-1}), \qquad
        \text{energy} = \sum_l \tfrac12 \lVert u_l - \text{relu}(V_l u_{l-1}) \rVert^2

    Each map learns by itself, from values u at which inference has arrived; no gradient passes from
    one to the next. The last layer is guessed without the activation.

    Args:
        names: Names of the layers, the input first.
        sizes: Number of columns of each of them.

    Shapes:
        - input: ``[N_0, B, 1]``
        - output: ``[N_l, B, 1]`` by name

    Raises:
        ValueError: Fewer than two layers, or another number of sizes.

    Source: Tschantz, Millidge, Seth & Buckley, Hybrid predictive coding: inferring, fast and slow,
    PLOS Computational Biology 2023, https://doi.org/10.1371/journal.pcbi.1011280.
    """

    def __init__(self, names: Sequence[str], sizes: Sequence[int]) -> None:
        super().__init__()
        if len(names) < 2 or len(names) != len(sizes):
            raise ValueError(
                f"names must be two or more, with one size each. Got {list(names)}, {list(sizes)}."
            )
        self.names = tuple(names)
        self.maps = nn.ModuleList(nn.Linear(m, n) for m, n in pairwise(sizes))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The guesses, by name of layer."""
        guesses = {}
        for i, name in enumerate(self.names[1:]):
            x = guesses[name] = self._guess(i, x)
        return guesses

    def energy(self, values: Mapping[str, Tensor]) -> Tensor:
        """The squared error of all guesses, each from the inferred layer before, a scalar."""
        total = torch.zeros((), device=values[self.names[0]].device)
        for i, (below, name) in enumerate(pairwise(self.names)):
            guess = self._guess(i, values[below].detach())
            total = total + (values[name].detach() - guess).square().sum() / 2
        return total

    def _guess(self, i: int, x: Tensor) -> Tensor:
        out = self.maps[i](x[..., 0].T).T[..., None]
        return out if i == len(self.maps) - 1 else torch.relu(out)
