"""What a change of topology does to the loss: predicted from scores, and measured on a copy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys, pair_keys
from graphcolumns.nn.batches import Inputs, batch_slices
from graphcolumns.nn.edge_bias import edge_biases
from graphcolumns.nn.per_edge import edge_tensors, held_graphs
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.recording import evaluating
from graphcolumns.plasticity.probe.score_gap import largest_gap
from graphcolumns.plasticity.probe.trace import Losses, trace
from graphcolumns.plasticity.rewiring.rewiring import Rewiring, rewire
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.selection.groups import groups_of_swaps, groups_of_wire, joined
from graphcolumns.plasticity.selection.selector import Selection
from graphcolumns.plasticity.state.carry import carry
from graphcolumns.plasticity.state.newborn import (
    Newborn,
    epsilon,
    node_mean,
    rows,
    zero,
    zero_weight,
)


class TrialResult(NamedTuple):
    """The swaps that were made, of those that were chosen, and what they did.

    Attributes:
        rewiring: Change of topology.
        predicted: Predicted change of the mean loss, or None where nothing was measured.
        realised: Measured change of the mean loss on the same samples, or None.
        offered: Number of edges that were chosen to be dropped or grown.
        made: Number of those that were dropped or grown.
    """

    rewiring: Rewiring
    predicted: float | None
    realised: float | None
    offered: int
    made: int


class PredictedChange(NamedTuple):
    """A change as the scores predict it before it is made.

    Attributes:
        rewiring: Change of topology.
        alone: Effect of each dropped, then of each grown edge on the mean loss, on its own,
            ``[D + G]``.
        loss: Mean loss before the change.
    """

    rewiring: Rewiring
    alone: Tensor
    loss: float

    def of(self, part: Rewiring) -> float:
        r"""Of a part, :math:`\Delta L \approx \sum_{dropped} E[u^-] + \sum_{grown} E[u^+]`."""
        if part is self.rewiring:
            return float(self.alone.sum())
        made = [
            torch.isin(all_, some)
            for all_, some in zip(_keys(self.rewiring), _keys(part), strict=True)
        ]
        return float(self.alone[torch.cat(made)].sum())


@dataclass(frozen=True, eq=False)
class Trial:
    """Tries changes of topology on samples set aside, on copies of what is kept per edge.

    Args:
        rule: Rule that says how newborns start, and what is tolerated.
        model: Model that would change; it is not changed.
        geometry: Geometry that measures newborns.
        scored: Samples that scores were measured on; a start at ``"epsilon"`` holds for them.
        inputs: Samples set aside ``[B, ...]``; with none, every swap is made.
        labels: Labels ``[B, ...]``.
        losses: Function from the output and the labels to one loss per sample.
        length: Budget of summed length that partial changes have to keep, if there is one.
        slice_size: Samples at a time.
        name: Name of the graph of the model that changes (default: the first).
        sources: Places of the sources of a bipartite graph (default: ``geometry``).
    """

    rule: Rule
    model: nn.Module
    geometry: Geometry | None
    scored: Inputs
    inputs: Inputs
    labels: Tensor
    losses: Losses
    length: float | None = None
    slice_size: int = 32
    name: str | None = None
    sources: Geometry | None = None
    graph: ColumnGraph = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "graph", graph_of(self.model, self.name))

    def run(self, chosen: Selection) -> TrialResult:
        """Make the swaps, or those groups of them after which the loss is no higher."""
        if self.rule.acceptance.regrow:
            chosen = self._without_regrown(chosen)
        offered, rewiring = len(chosen.drop) + len(chosen.targets), self.rewiring(chosen)
        if not len(self.labels):
            return TrialResult(rewiring, None, None, offered, offered)
        if not offered:
            return TrialResult(rewiring, 0.0, 0.0, 0, 0)
        change, made = self._predict(rewiring), chosen
        if self.rule.acceptance.tolerance is None:
            after = self._loss_after(rewiring)
        else:
            made, after = self._tolerated(chosen, change.loss, self.rule.acceptance.tolerance)
            rewiring = self.rewiring(made)
        number = len(made.drop) + len(made.targets)
        return TrialResult(rewiring, change.of(rewiring), after - change.loss, offered, number)

    def rewiring(self, chosen: Selection) -> Rewiring:
        """The change of topology."""
        grown = chosen.targets, chosen.sources
        return rewire(self.graph, chosen.drop, grown, self.geometry, self.sources)

    def _without_regrown(self, chosen: Selection) -> Selection:
        """An edge that is dropped and regrown is kept; it counts as neither."""
        dropped = edge_keys(self.graph)[chosen.drop]
        grown = pair_keys(chosen.targets, chosen.sources, self.graph.num_sources)
        drop, grow = ~torch.isin(dropped, grown), ~torch.isin(grown, dropped)
        ends = chosen.targets[grow], chosen.sources[grow]
        return Selection(chosen.drop[drop], *ends, chosen.missing)

    def newborn(self, rewiring: Rewiring) -> Newborn:
        """How newborns start; ``"epsilon"`` measures the model before the change."""
        newborns = self.rule.newborns
        if newborns.first_value != "epsilon":
            starts = {"node_mean": node_mean, "zero_weight": zero_weight, "zero": zero}
            return starts[newborns.first_value]
        after, born = rewiring.graph, rewiring.born
        ends = after.target[born].long(), after.source[born].long()
        gap = largest_gap(
            self.model, self.scored, *ends, graph=self.graph, slice_size=self.slice_size
        )
        return epsilon(newborns.epsilon_share, gap)

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """The mean loss on the samples set aside, without dropout."""
        parts = batch_slices(self.inputs, self.labels, self.slice_size)
        with evaluating(model):
            each = [self.losses(model(x), y) for x, y in parts]
        return float(torch.cat(each).double().mean())

    def _loss_after(self, rewiring: Rewiring) -> float:
        return self.loss(changed_copy(self.model, rewiring, self.newborn(rewiring)))

    def _tolerated(
        self, chosen: Selection, before: float, tolerance: float
    ) -> tuple[Selection, float]:
        """The groups that are made, and the loss after them."""
        made, loss, forced = None, before, True
        for group in self._groups(chosen):
            tried = group if made is None else joined(made, group)
            # First what the budget demands, whatever it costs; it may be nothing.
            if not len(tried.drop) + len(tried.targets):
                made, forced = tried, False
                continue
            rewiring = self.rewiring(tried)
            allowed = self._allowed(rewiring)
            if not allowed and not forced:
                continue
            # Groups are tried on top of what was made before, because effects do not add up.
            after = self._loss_after(rewiring)
            if forced or after <= loss + tolerance:
                # What breaks a rule takes the next group along: all of them together keep to it.
                made, loss, forced = tried, after, not allowed
        assert made is not None
        return made, loss

    def _groups(self, chosen: Selection) -> Iterator[Selection]:
        groups, rules = self.rule.acceptance.groups, self.rule.constraints
        if self.length is None:
            return groups_of_swaps(chosen, groups, rules.same_in_degree)
        graph = self.graph
        rewiring = self.rewiring(chosen)
        assert rewiring.graph.distance is not None
        keys = edge_keys(rewiring.graph)
        wanted = pair_keys(chosen.targets, chosen.sources, graph.num_sources)
        born = rewiring.graph.distance[torch.searchsorted(keys, wanted)]
        return groups_of_wire(chosen, groups, graph, born, self.length)

    def _allowed(self, rewiring: Rewiring) -> bool:
        """Whether a part of the swaps keeps to the rules that all of them keep to."""
        after, rules = rewiring.graph, self.rule.constraints
        if rules.same_in_degree and not torch.equal(after.in_degree, rewiring.before.in_degree):
            return False
        if self.length is not None and after.distance is not None:
            # Lengths are rounded to the type of the graph.
            if float(after.distance.double().sum()) > self.length * (1 + 1e-6):
                return False
        try:
            rules.check(after)
        except ValueError:
            return False
        return True

    def _predict(self, rewiring: Rewiring) -> PredictedChange:
        """The effects of the edges that would be dropped and grown, from the model as it is."""
        before, after = rewiring.before, rewiring.graph
        targets = torch.cat([before.target[rewiring.died], after.target[rewiring.born]]).long()
        sources = torch.cat([before.source[rewiring.died], after.source[rewiring.born]]).long()
        seen: list[Tensor] = []

        def losses(output: Any, labels: Tensor) -> Tensor:
            each = self.losses(output, labels)
            seen.append(each.detach())  # or the activations of every slice would be kept
            return each

        # Births at the mean of their column are what scores assume.
        first = self.rule.newborns.first_value
        weightless = first in ("zero", "zero_weight")
        scores = trace(
            self.model, self.inputs, self.labels, losses, targets, sources, graph=self.graph,
            newborn_bias=self._start(rewiring) if first in ("zero", "epsilon") else None,
            newborn_weight=torch.zeros_like(targets, dtype=torch.float64) if weightless else None,
            slice_size=self.slice_size,
        )  # fmt: skip
        died = len(rewiring.died)
        alone = torch.cat([scores.deletion[:died], scores.insertion[died:]]).double()
        loss = float(torch.cat(seen).double().mean())
        return PredictedChange(rewiring, alone / scores.samples, loss)

    def _start(self, rewiring: Rewiring) -> Tensor | None:
        """The bias of dropped edges (any) and of newborns, which do not start at the mean."""
        biases = edge_biases(self.model, self.graph)
        if not biases:
            return None
        newborn, bias = self.newborn(rewiring), biases[0]  # the same in all of them
        names = [name for name in bias.edge_tensors if getattr(bias, name) is not None]
        parts = [newborn(bias, name, rewiring).detach() for name in names]
        # Scores for all heads and scores per head add up.
        total = sum(rows(part) for part in parts)
        assert torch.is_tensor(total)
        every = torch.cat([total.new_zeros(len(rewiring.died), total.shape[1]), total])
        # The same for all heads, it also serves layers with another number of them.
        return every[:, 0] if bool((every == every[:, :1]).all()) else every


def _keys(rewiring: Rewiring) -> tuple[Tensor, Tensor]:
    """Keys of the edges that are dropped, and of those that are grown."""
    return edge_keys(rewiring.before)[rewiring.died], edge_keys(rewiring.graph)[rewiring.born]


def changed_copy(model: nn.Module, rewiring: Rewiring, newborn: Newborn) -> nn.Module:
    """A copy of a model after a change; all that is not per edge is shared, not copied."""
    per_edge = {id(entry.tensor) for entry in edge_tensors(model, rewiring.before)}
    tensors = [*model.parameters(), *model.buffers()]
    shared: dict[int, object] = {id(t): t for t in tensors if id(t) not in per_edge}
    graphs = [graph for part in model.modules() for graph in held_graphs(part).values()]
    shared |= {id(graph): graph for graph in graphs}
    copied = copy.deepcopy(model, shared)
    carry(rewiring, copied, newborn=newborn)
    return copied
