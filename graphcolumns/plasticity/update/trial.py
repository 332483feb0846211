"""What a change of topology does to the loss: predicted from scores, and measured on a copy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from graphcolumns.geometry import Geometry
from graphcolumns.graph import ColumnGraph
from graphcolumns.graph.keys import edge_keys, pair_keys
from graphcolumns.nn.batches import Inputs, split_samples
from graphcolumns.nn.edge_bias import edge_biases
from graphcolumns.nn.per_edge import edge_tensors, held_graphs
from graphcolumns.nn.protocols import graph_of
from graphcolumns.nn.recording import evaluating
from graphcolumns.plasticity.probe.score_gap import largest_gap
from graphcolumns.plasticity.probe.trace import Losses, trace
from graphcolumns.plasticity.rewiring.rewire import rewire
from graphcolumns.plasticity.rewiring.rewiring import Rewiring
from graphcolumns.plasticity.rules.rule import Rule
from graphcolumns.plasticity.selection.groups import groups_of_swaps, groups_of_wire, joined
from graphcolumns.plasticity.selection.selector import Selection
from graphcolumns.plasticity.state.carry import carry
from graphcolumns.plasticity.state.newborn import Newborn, epsilon, node_mean, rows, zero


class TrialResult(NamedTuple):
    """What was made of the swaps that were chosen.

    `predicted` and `realised` are changes of the mean loss on the same samples, of the swaps that
    were made, and None where nothing was measured.
    """

    rewiring: Rewiring
    predicted: float | None
    realised: float | None
    offered: int  # births and deaths that were chosen
    made: int  # those that were made


class PredictedChange(NamedTuple):
    """What one look at a model says of a change before it is made.

    Attributes:
        rewiring: The change.
        alone: What each death, then each birth, would do to the mean loss on its own, `[D + G]`.
        loss: The mean loss before it.
    """

    rewiring: Rewiring
    alone: Tensor
    loss: float

    def of(self, part: Rewiring) -> float:
        r"""Of a part of it, :math:`\Delta L \approx \sum_{dies} E[u^-] + \sum_{born} E[u^+]`."""
        made = [
            torch.isin(all_, some)
            for all_, some in zip(_keys(self.rewiring), _keys(part), strict=True)
        ]
        return float(self.alone[torch.cat(made)].sum())


@dataclass(frozen=True, eq=False)
class Trial:
    """Tries changes of topology on samples set aside, on copies of what is kept per edge.

    Args:
        rule: how newborns start, and what is tolerated.
        model: the model, which is not changed.
        geometry: measures newborns.
        scored: the samples that scores were measured on; a start at `"epsilon"` holds for them.
        inputs: the samples set aside `[B, ...]`; with none, every swap is made.
        labels: `[B, ...]`.
        losses: one loss per sample.
        length: budget of summed length that partial changes have to keep, if there is one.
        slice_size: samples at a time.
        name: which of the model's graphs changes (default: the first).
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

    @property
    def graph(self) -> ColumnGraph:
        """The edges as they are."""
        return graph_of(self.model, self.name)

    def run(self, chosen: Selection) -> TrialResult:
        """Make the swaps, or those groups of them after which the loss is no higher."""
        chosen = self._without_regrown(chosen) if self.rule.acceptance.regrow else chosen
        offered = _size(chosen)
        if not len(self.labels):
            return TrialResult(self.rewiring(chosen), None, None, offered, offered)
        if not offered:
            return TrialResult(self.rewiring(chosen), 0.0, 0.0, 0, 0)
        foresight = self._foresee(self.rewiring(chosen))
        before = foresight.loss
        if self.rule.acceptance.tolerance is None:
            made, after = chosen, self._after(self.rewiring(chosen))
        else:
            made, after = self._tolerated(chosen, before, self.rule.acceptance.tolerance)
        rewiring = self.rewiring(made)
        return TrialResult(rewiring, foresight.of(rewiring), after - before, offered, _size(made))

    def rewiring(self, chosen: Selection) -> Rewiring:
        """The change of topology."""
        graph = self.graph
        born = chosen.targets, chosen.sources
        geometry, again = self.geometry, self.rule.acceptance.regrow
        return rewire(graph, chosen.drop, born, geometry=geometry, keep_regrown=again)

    def _without_regrown(self, chosen: Selection) -> Selection:
        """What is dropped and grown goes on: it is neither a death nor a birth."""
        graph = self.graph
        dropped = edge_keys(graph)[chosen.drop]
        grown = pair_keys(chosen.targets, chosen.sources, graph.num_sources)
        dies, born = ~torch.isin(dropped, grown), ~torch.isin(grown, dropped)
        ends = chosen.targets[born], chosen.sources[born]
        return Selection(chosen.drop[dies], *ends, chosen.missing)

    def newborn(self, rewiring: Rewiring) -> Newborn:
        """How newborns start; `"epsilon"` measures the model before the change."""
        if self.rule.newborns.newborn != "epsilon":
            return {"node_mean": node_mean, "zero": zero}[self.rule.newborns.newborn]
        after, born = rewiring.graph, rewiring.born
        ends = after.target[born].long(), after.source[born].long()
        gap = largest_gap(
            self.model, self.scored, *ends, graph=self.graph, slice_size=self.slice_size
        )
        return epsilon(self.rule.newborns.epsilon_share, gap)

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """The mean loss on the samples set aside, without dropout."""
        parts = zip(
            split_samples(self.inputs, self.slice_size),
            self.labels.split(self.slice_size),
            strict=True,
        )
        with evaluating(model):
            each = [self.losses(model(x), y) for x, y in parts]
        return float(torch.cat(each).double().mean())

    def _after(self, rewiring: Rewiring) -> float:
        return self.loss(changed(self.model, rewiring, self.newborn(rewiring)))

    def _tolerated(
        self, chosen: Selection, before: float, tolerance: float
    ) -> tuple[Selection, float]:
        """Group after group, what the budget demands first."""
        made, loss, forced = None, before, True
        for group in self._groups(chosen):
            tried = group if made is None else joined(made, group)
            if not _size(tried):  # the budget demands nothing
                made, forced = tried, False
                continue
            rewiring = self.rewiring(tried)
            allowed = self._allowed(rewiring)
            if not allowed and not forced:
                continue
            after = self._after(rewiring)
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

    def _foresee(self, rewiring: Rewiring) -> PredictedChange:
        """Look once at the model as it is, along the edges that would die and be born."""
        before, after = rewiring.before, rewiring.graph
        gone, born = rewiring.died, rewiring.born
        targets = torch.cat([before.target[gone], after.target[born]]).long()
        sources = torch.cat([before.source[gone], after.source[born]]).long()
        seen: list[Tensor] = []

        def losses(output: Any, labels: Tensor) -> Tensor:
            each = self.losses(output, labels)
            seen.append(each.detach())  # or the activations of every slice would be kept
            return each

        scores = trace(
            self.model, self.inputs, self.labels, losses, targets, sources, graph=self.graph,
            newborn_bias=self._start(rewiring), newborn_weight=self._start_weight(targets),
            slice_size=self.slice_size,
        )  # fmt: skip
        died = len(gone)
        alone = torch.cat([scores.deletion[:died], scores.insertion[died:]]).double()
        loss = float(torch.cat(seen).double().mean())
        return PredictedChange(rewiring, alone / scores.samples, loss)

    def _start_weight(self, targets: Tensor) -> Tensor | None:
        """The weight of births in linear layers, where they do not start at the mean."""
        return (
            targets.new_zeros(len(targets), dtype=torch.float64)
            if self.rule.newborns.newborn == "zero"
            else None
        )

    def _start(self, rewiring: Rewiring) -> Tensor | None:
        """The bias of deaths (any) and births, where births do not start at the mean."""
        biases = edge_biases(self.model, self.graph)
        if self.rule.newborns.newborn == "node_mean" or not biases:
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


def _size(chosen: Selection) -> int:
    return len(chosen.drop) + len(chosen.targets)


def _keys(rewiring: Rewiring) -> tuple[Tensor, Tensor]:
    """Of the edges that die, and of those that are born."""
    return edge_keys(rewiring.before)[rewiring.died], edge_keys(rewiring.graph)[rewiring.born]


def changed(model: nn.Module, rewiring: Rewiring, newborn: Newborn) -> nn.Module:
    """A copy of a model after a change; all that is not per edge is shared, not copied."""
    per_edge = {id(entry.tensor) for entry in edge_tensors(model, rewiring.before)}
    tensors = [*model.parameters(), *model.buffers()]
    shared: dict[int, object] = {id(t): t for t in tensors if id(t) not in per_edge}
    graphs = [graph for part in model.modules() for graph in held_graphs(part).values()]
    shared |= {id(graph): graph for graph in graphs}
    copied = copy.deepcopy(model, shared)
    carry(rewiring, copied, newborn=newborn)
    return copied
