"""Defects that were found in other libraries, planted here: the checks must catch them."""

import copy
import importlib
import math

import pytest
import torch

from graphcolumns import checkpoint
from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import EdgeBias
from graphcolumns.ops import EdgeScores
from graphcolumns.plasticity import (
    Budget,
    EdgeAdamW,
    Plasticity,
    Rewiring,
    carry,
    criteria,
    node_mean,
    presets,
    schedules,
    select,
)
from graphcolumns.plasticity.probe.trace import trace
from graphcolumns.plasticity.selection.selector import SwapSelector
from graphcolumns.plasticity.state import edge_adamw
from graphcolumns.random import counter
from tests.plasticity.support.learners import (
    LOSSES,
    SHEET,
    batch,
    descend,
    learner,
    optimizer_of,
    rows,
)
from tests.plasticity.support.sheets import eight, eight_rewired
from tests.plasticity.support.stand_in import candidates
from tests.plasticity.test_candidates import test_pinned_random_numbers

# The modules, not the functions of the same name.
CARRY = importlib.import_module("graphcolumns.plasticity.state.carry")
LOAD = importlib.import_module("graphcolumns.checkpoint.load")


def budgets_are_whole_numbers(tmp_path):
    """Of 36 million pairs."""
    graph = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), 6000)
    pairs = 6000 * 5999
    for count in range(1_000_000, 1_000_100):
        assert Budget(count / pairs, "density").edges(1, graph) == count


def in_float32(patch):
    def edges(self, step, graph, self_loops=False):
        pairs = torch.tensor(graph.num_columns * (graph.num_columns - 1), dtype=torch.float32)
        share = 1 - torch.tensor(self.value, dtype=torch.float32)
        return int((pairs * (1 - share)).round())

    patch.setattr(Budget, "edges", edges)


def old_bias(steps: int = 100) -> tuple[EdgeBias, EdgeAdamW]:
    bias = EdgeBias(eight(), heads=2, common=False, per_head=True, std=0.1)
    groups = [{"params": bias.parameters(), "edges": True}]
    optimizer = EdgeAdamW(groups, lr=0.01, betas=(0.9, 0.999), weight_decay=0.0)
    for step in range(steps):
        bias.per_head.grad = torch.full((8, 2), 1.0 + (step % 3))
        optimizer.step()
    return bias, optimizer


def newborns_take_steps_of_the_learning_rate(tmp_path):
    bias, optimizer = old_bias()
    rewiring = eight_rewired()
    carry(rewiring, bias, optimizer)
    for _ in range(20):
        before = bias.per_head.detach().clone()
        bias.per_head.grad = torch.ones(9, 2)
        optimizer.step()
        moved = (bias.per_head.detach() - before)[rewiring.born].abs()
        assert float(moved.max()) <= 0.01 * 1.001


def one_clock_for_all(patch):
    correction = edge_adamw._correction
    patch.setattr(edge_adamw, "_correction", lambda beta, t: correction(beta, t.max().expand_as(t)))


def newborns_start_without_a_past(tmp_path):
    bias, optimizer = old_bias()
    rewiring = eight_rewired()
    carry(rewiring, bias, optimizer)
    for values in optimizer.state[bias.per_head].values():
        assert (values[rewiring.born] == 0).all()
        assert (values[rewiring.survived] != 0).all()


def stale_second_moments(patch):
    states = CARRY._states

    def stale(entry, kept, rewiring, start):
        writes = states(entry, kept, rewiring, start)
        for _, key, values in writes:
            if key == "exp_avg_sq":
                values[rewiring.born] = kept[key][0]
        return writes

    patch.setattr(CARRY, "_states", stale)


def survivors_keep_what_is_theirs(tmp_path):
    bias, optimizer = old_bias()
    with torch.no_grad():
        optimizer.state[bias.per_head]["exp_avg"].copy_(torch.arange(16.0).view(8, 2))
    rewiring = eight_rewired()
    carry(rewiring, bias, optimizer)
    values = optimizer.state[bias.per_head]["exp_avg"][rewiring.survived]
    kept = rewiring.origin[rewiring.survived]
    assert torch.equal(values, torch.arange(16.0).view(8, 2)[kept])


def by_position(patch):
    carried = Rewiring.carried

    def misaligned(self, values, newborn=0.0):
        result = carried(self, values, newborn)
        alive = self.survived
        result[alive] = values[: int(alive.sum())]
        return result

    patch.setattr(Rewiring, "carried", misaligned)


def newborns_start_where_they_should(tmp_path):
    bias, _ = old_bias()
    with torch.no_grad():
        bias.per_head.copy_(torch.arange(16.0).view(8, 2))
    rewiring = eight_rewired()
    expected = node_mean(bias, "per_head", rewiring)
    assert (expected != 0).any()
    carry(rewiring, bias)
    assert torch.equal(bias.per_head[rewiring.born], expected)


def start_thrown_away(patch):
    fresh = CARRY._fresh

    def discarded(entry, rewiring, newborn):
        return fresh(entry, rewiring, lambda *args: torch.zeros_like(newborn(*args)))

    patch.setattr(CARRY, "_fresh", discarded)


def random_numbers_are_those_of_any_process(tmp_path):
    test_pinned_random_numbers()


def salted(patch):
    patch.setattr(counter, "derive", lambda seed, purpose, update=0: abs(hash((purpose, seed))))


def equal_scores_die_one_by_one(tmp_path):
    graph = learner().graph
    pairs = torch.arange(16), (torch.arange(16) + 7) % 16
    choice = select(graph, torch.ones(64), pairs, torch.ones(16), fraction=0.1)
    assert len(choice.drop) == len(choice.targets) == math.floor(6.4)


def by_threshold(patch):
    def drop(self, old, swaps):
        return (old.score <= old.score[swaps - 1]).nonzero()[:, 0]

    patch.setattr(SwapSelector, "drop", drop)


def a_score_of_zero_is_an_edge(tmp_path):
    model, changing = learner(), Plasticity(presets.set(8), SHEET)
    changing.start(model)
    with torch.no_grad():
        for p in optimizer_of(model).param_groups[1]["params"]:
            p[::2] = 0.0
    checkpoint.save(tmp_path, model, step=1, plasticity=changing.state_dict())
    other = learner(seed=1)
    checkpoint.load(tmp_path, other)
    assert other.graph.same_topology(model.graph)


def topology_from_values(patch):
    read = LOAD.read_topology

    def guessed(run, which):
        topology = read(run, which)
        weights = LOAD.load_file(run / "checkpoint" / "model.safetensors")
        [common] = [value for name, value in weights.items() if name.endswith("common")]
        edges = topology.graph.edge_index[:, common != 0]
        graph = ColumnGraph.from_edge_index(edges.long(), 16)
        return topology._replace(graphs={"graph": graph.remeasure(SHEET)})

    patch.setattr(LOAD, "read_topology", guessed)


def a_rule_goes_on_where_it_was(tmp_path):
    rule = presets.homeostatic(8, samples=16, check_samples=0, rate=3.0)
    model = learner()
    optimizer, changing = optimizer_of(model), Plasticity(rule, SHEET)
    descend(model, optimizer, 1)
    changing.update(model, optimizer, 1, *batch(rule), LOSSES)
    other, resumed = copy.deepcopy(model), Plasticity(rule, SHEET)
    resumed.load_state_dict(changing.state_dict())
    for one, its_model in ((changing, model), (resumed, other)):
        one.update(its_model, None, 2, *batch(rule, 1), LOSSES)
    assert other.graph.same_topology(model.graph)


def state_left_unread(patch):
    patch.setattr(Plasticity, "load_state_dict", lambda self, state: None)


def a_cosine_begins_at_its_first_step(tmp_path):
    rule = presets.rigl(1000, every=100, start=0.5, stop=0.75, fraction=0.3)
    assert rule.is_due(500)
    assert rule.fraction_at(500) == 0.3


def from_step_0(patch):
    def share(self, step):
        u = min(step / self.stop, 1.0)
        return self.final + (self.init - self.final) * self._left(u)

    patch.setattr(schedules.Cosine, "__call__", share)


def halves_of_a_batch_are_one_batch(tmp_path):
    """Signed sums add up, also where the gradients of two replicas cancel."""
    model = learner()
    data = rows()
    inputs, labels = data.train_inputs[:16], data.train_targets[:16]
    pairs = torch.tensor([0, 3, 9, 14]), torch.tensor([15, 12, 1, 4])
    first, second = (
        trace(model, inputs[part], labels[part], LOSSES, *pairs)
        for part in (slice(8), slice(8, 16))
    )
    whole = trace(model, inputs, labels, LOSSES, *pairs, slice_size=16)
    assert (first.gate * second.gate < 0).any()  # they do disagree
    sizes = [criteria.gradient_size(candidates(scores=x)) for x in (first + second, whole)]
    torch.testing.assert_close(*sizes)


def mean_of_absolutes(patch):
    def absolute(self, other):
        total = self.sums().abs() + other.sums().abs()
        return EdgeScores.of(self.samples + other.samples, total)

    patch.setattr(EdgeScores, "__add__", absolute)


DEFECTS = {
    "a budget through float32": (budgets_are_whole_numbers, in_float32),
    "moments of 0 under an old step count": (
        newborns_take_steps_of_the_learning_rate,
        one_clock_for_all,
    ),
    "a stale second moment": (newborns_start_without_a_past, stale_second_moments),
    "state of other edges": (survivors_keep_what_is_theirs, by_position),
    "a start that is computed and not used": (newborns_start_where_they_should, start_thrown_away),
    "seeds from salted hashes": (random_numbers_are_those_of_any_process, salted),
    "ties that are dropped together": (equal_scores_die_one_by_one, by_threshold),
    "topology read off zeros": (a_score_of_zero_is_an_edge, topology_from_values),
    "state that is saved and not read": (a_rule_goes_on_where_it_was, state_left_unread),
    "a cosine from step 0": (a_cosine_begins_at_its_first_step, from_step_0),
    "the mean of absolute gradients": (halves_of_a_batch_are_one_batch, mean_of_absolutes),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_caught(defect, tmp_path):
    check, plant = DEFECTS[defect]
    check(tmp_path / "sound")
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises((AssertionError, ValueError, KeyError)):
            check(tmp_path / "defective")
