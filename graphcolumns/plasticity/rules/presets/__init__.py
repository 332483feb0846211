r"""Rules of the literature, and ours, as functions of the length of a run.

All take ``steps``, the length of the run in optimizer steps, and the options of
:class:`~graphcolumns.plasticity.rules.options.PresetOptions`: the times of updates (``every``,
``start``, ``stop``), how much they change (``fraction``, ``degree``), and fields of
:class:`~graphcolumns.plasticity.Rule` and its three values. ``static`` and ``sernn`` never change
an edge and take none of them.

The published rules prune weights of a layer by their size. In attention the factor with which a
message is multiplied is :math:`p_{ij}`, so the size of an edge is its mean attention
(``magnitude="mass"``), or, nearer to the letter, that of its learned scores
(``magnitude="weight"``). In linear layers both are the size of its weights.
"""

from graphcolumns.plasticity.rules.presets.custom import custom
from graphcolumns.plasticity.rules.presets.ours import exact, wiring
from graphcolumns.plasticity.rules.presets.published import (
    chts,
    gmp,
    granet,
    homeostatic,
    mest,
    rigl,
    sernn,
    set,
    static,
)

__all__ = [
    "chts",
    "custom",
    "exact",
    "gmp",
    "granet",
    "homeostatic",
    "mest",
    "rigl",
    "sernn",
    "set",
    "static",
    "wiring",
]
