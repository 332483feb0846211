"""Scores of pairs that add up over slices of samples."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_ids
from graphcolumns.ops import EdgeScores, edge_scores
from graphcolumns.ops.edge_scores.checks import check_pairs
from graphcolumns.plasticity.probe.large_bias import LARGE, from_highest, lse_from_highest
from graphcolumns.plasticity.probe.linear_scores import LinearEffects, linear_scores
from graphcolumns.plasticity.probe.pair_bias import check_newborn, pair_bias
from graphcolumns.plasticity.probe.stacked import AttentionTrace, Trace, same


class ScoreSum:
    """Scores of pairs that add up over slices.

    Arguments and errors are those of :func:`~graphcolumns.plasticity.probe.trace.trace`.
    """

    def __init__(
        self,
        graph: ColumnGraph,
        targets: Tensor,
        sources: Tensor,
        newborn_bias: Tensor | None = None,
        newborn_weight: Tensor | None = None,
        chunk: int | None = None,
        backend: str = "auto",
    ) -> None:
        check_pairs(targets, sources, graph.num_columns, graph.num_sources)
        for newborn in (newborn_bias, newborn_weight):
            if newborn is not None:
                check_newborn(newborn, len(targets))
        self.graph, self.chunk, self.backend = graph, chunk, backend
        self.order: Tensor | None = None
        # Sorted once here, not in every slice.
        if bool((targets[1:] < targets[:-1]).any()):
            self.order = targets.argsort(stable=True)
            targets, sources = targets[self.order], sources[self.order]
            newborn_bias = None if newborn_bias is None else newborn_bias[self.order]
            newborn_weight = None if newborn_weight is None else newborn_weight[self.order]
        self.pairs, self.newborn_bias = (targets, sources), newborn_bias
        self.newborn_weight = newborn_weight
        self.ids = edge_ids(graph, targets, sources)
        self.sole = (self.ids >= 0) & (graph.in_degree.index_select(0, targets) == 1)
        self.total: EdgeScores | None = None
        # Scores of edges and of pairs: the same in every slice, unless they depend on the inputs.
        self.edge_bias: Tensor | None = None
        self.bias = pair_bias(None, newborn_bias, graph, self.ids, targets)
        # The scores of the edges less the highest of their column, where they are large.
        self.from_highest: Tensor | None = None

    def add(self, part: Trace) -> None:
        """Score one slice."""
        if part.attention is None:
            scores = self._linear(part).scores()
        elif not part.linear:
            scores = self._attention(part.attention)
        else:
            scores = self._both(part.attention, part)
        self.total = scores if self.total is None else self.total.add_(scores)

    def _attention(self, part: AttentionTrace) -> EdgeScores:
        if not same(part.bias, self.edge_bias):
            self._set_bias(part.bias)
        if self.from_highest is not None:
            part = part._replace(lse=lse_from_highest(part, self.from_highest, self.graph))
        scores = edge_scores(
            *part[:6], *self.pairs,
            bias=self.bias, sole=self.sole, scale=part.scale, chunk=self.chunk,
            backend=self.backend,
        )  # fmt: skip
        if part.share < 1:  # means over heads, of those that there are
            mass, would_be = scores.mass / part.share, scores.would_be / part.share
            scores = replace(scores, mass=mass, would_be=would_be)
        return scores

    def _both(self, attention: AttentionTrace, part: Trace) -> EdgeScores:
        """Effects of both kinds add up in each sample, so samples are scored one by one."""
        each = []
        for sample in range(part.samples):
            own = slice(sample, sample + 1)
            # Queries may be shared by all samples.
            part_of = {
                name: x if x.shape[2] == 1 else x[:, :, own]
                for name, x in zip(attention._fields[:6], attention[:6], strict=True)
            }
            alone = attention._replace(**part_of)  # type: ignore[arg-type]
            each.append(self._attention(alone))
        heads = attention.q.shape[0] * attention.q.shape[3] * attention.share
        return self._linear(part).with_attention(each, heads)

    def _linear(self, part: Trace) -> LinearEffects:
        weights = [self._weights(each.weight) for each in part.linear]
        return linear_scores(part.linear, weights, *self.pairs, self.chunk)

    def _weights(self, weight: Tensor) -> Tensor:
        """The weights of the pairs in a linear layer, ``[P, H]``."""
        found = pair_bias(weight, self.newborn_weight, self.graph, self.ids, self.pairs[0])
        assert found is not None
        return found.reshape(len(self.ids), -1)

    def _set_bias(self, bias: Tensor | None) -> None:
        """Take the scores of the pairs from those of the edges."""
        self.edge_bias, self.from_highest = bias, None
        given = (self.newborn_bias, self.graph, self.ids, self.pairs[0])
        # Where scores are large, rounding could be felt in the masses of edges.
        finite = None if bias is None or not bias.numel() else bias.masked_fill(bias.isinf(), 0.0)
        if bias is not None and finite is not None and float(finite.abs().max()) > LARGE:
            self.bias, self.from_highest = from_highest(bias, *given)
        else:
            self.bias = pair_bias(bias, *given)

    def scores(self) -> EdgeScores:
        """The sums over all slices, in the order of the pairs that were given."""
        if self.total is None:
            raise ValueError("inputs must hold at least one sample, got none")
        return self.total if self.order is None else self.total.at(self.order.argsort())
