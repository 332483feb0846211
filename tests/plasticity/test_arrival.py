"""What cannot be reached in a run is refused before it, with numbers and a remedy."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from geometries import grid
from graphcolumns import connect
from graphcolumns.graph import ColumnGraph
from graphcolumns.plasticity import (
    Budget,
    Constraints,
    Every,
    Rule,
    criteria,
    presets,
    rule_from_options,
    select,
)
from graphcolumns.plasticity.rules.arrival import require_arrival
from graphcolumns.plasticity.rules.limits import fewest_edges, least_wire, most_edges
from graphcolumns.plasticity.rules.schedules import At, Cosine, Cubic, Cycles, GrowOnly, Linear
from tests.plasticity.support.sheets import eight, graphs, pairs, plane
from tests.plasticity.test_mesh_parts import pieces

SHEET = grid.sheet(4, 4)
GRAPH = connect.nearest(SHEET, 8)
# Every preset that changes edges, on a graph of eight in-edges.
PRESETS = {
    "set": {},
    "rigl": {},
    "gmp": {"degree": 2, "initial": 8},
    "granet": {"degree": 2, "initial": 8},
    "chts": {"degree": 2, "initial": 8},
    "mest": {},
    "homeostatic": {},
    "exact": {"degree": 4},
    "wiring": {"budget": 40.0},
    "custom": {"prune": criteria.mass, "budget": 2.0},
}


def own(**options) -> Rule:
    return rule_from_options(
        **({"prune": criteria.mass, "grow": criteria.chance, "is_due": Every(10, 10)} | options)
    )


class TestNoUpdate:
    @pytest.mark.parametrize("name", PRESETS)
    @pytest.mark.parametrize(
        ("steps", "options"),
        [(50, {}), (120, {}), (50, {"every": 51}), (50, {"every": 5, "start": 0.02, "stop": 0.04})],
        ids=["every above steps", "stop before the first", "one too many", "a short window"],
    )
    def test_of_every_preset_is_refused(self, name, steps, options):
        rule = getattr(presets, name)(steps, **PRESETS[name], **options)
        with pytest.raises(ValueError, match=f"update within the run of {steps} steps. Got Every"):
            require_arrival(rule, GRAPH, steps, SHEET)

    def test_says_how_often_would_do(self):
        with pytest.raises(ValueError, match=r"lower every and start to at most 90 steps"):
            require_arrival(presets.rigl(120), GRAPH, 120)
        require_arrival(presets.rigl(120, every=90), GRAPH, 120)

    @pytest.mark.parametrize(
        "when",
        [Every(10, start=200), Every(10, start=20, stop=20), At((0, 101)), lambda step: step > 100],
    )
    def test_of_a_rule_of_ones_own_is_refused(self, when):
        with pytest.raises(ValueError, match="nothing would change"):
            require_arrival(own(is_due=when), GRAPH, 100)

    def test_is_what_a_static_rule_says(self):
        for rule in (presets.static(10), presets.sernn(10), own(is_due=At(()))):
            require_arrival(rule, GRAPH, 10)
        with pytest.raises(ValueError, match="nothing would change"):
            require_arrival(own(is_due=At(()), budget=Budget(4)), GRAPH, 10)


class TestSchedule:
    @pytest.mark.parametrize("name", ["gmp", "granet", "chts"])
    def test_of_a_single_update_is_refused(self, name):
        rule = getattr(presets, name)(200, **PRESETS[name])
        with pytest.raises(ValueError, match=r"32 edges at step 101. Got 1 update in 200 steps"):
            require_arrival(rule, GRAPH, 200)
        require_arrival(getattr(presets, name)(200, every=50, **PRESETS[name]), GRAPH, 200)

    @pytest.mark.parametrize(
        ("schedule", "steps"),
        [
            (Cubic(8, 2, 10, 100), 60),
            (Linear(8, 2, 10, 95), 95),
            (Cosine(8, 2, 10, 100), 99),
            (Cycles(8, 2, 30, 10, 100), 50),
            (GrowOnly(8, 10, 10, 100), 60),
        ],
        ids=["run too short", "no update on its end", "a step too short", "cycles", "growing"],
    )
    def test_that_goes_on_after_the_last_update_is_refused(self, schedule, steps):
        rule = own(budget=Budget(schedule, "mean_degree"))
        with pytest.raises(ValueError, match="must reach its end within the run"):
            require_arrival(rule, GRAPH, steps, SHEET)
        require_arrival(rule, GRAPH, 100, SHEET)

    def test_that_has_all_but_arrived_is_taken(self):
        """Whole edges count: 2.0001 in-edges of 16 columns are 32."""
        rule = own(budget=Budget(Cubic(8, 2, 10, 103), "mean_degree"), grow=None)
        require_arrival(rule, GRAPH, 103)

    def test_of_wire_is_refused_too(self):
        rule = own(budget=Budget(Linear(150, 40.0, 10, 100), "length"))
        with pytest.raises(
            ValueError, match=r"goes to 40 of wire at step 100. Got 5 updates in 50"
        ):
            require_arrival(rule, GRAPH, 50)

    def test_without_a_known_end_is_left_to_the_summary(self):
        require_arrival(own(budget=Budget(lambda step: 128 - step, "edges")), GRAPH, 50)


class TestReach:
    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            ({"grow": None, "budget": Budget(9, "mean_degree")}, "grows nothing"),
            ({"budget": Budget(130), "constraints": Constraints(same_in_degree=True)},
             "same_in_degree keeps"),
            ({"budget": Budget(10), "constraints": Constraints(pinned=GRAPH.edge_index[:, :20])},
             "10 edges at the last of 3 updates. .* make 20 to 256: .*pinned"),
            ({"budget": Budget(10), "constraints": Constraints(min_out=1)}, "make 16 to 256"),
            ({"budget": Budget(2, "mean_degree"), "constraints": Constraints(max_dropped=1)},
             "make 80 to 256: .*max_dropped"),
            ({"budget": Budget(12, "mean_degree"), "constraints": Constraints(max_new=1)},
             "make 0 to 176: .*max_new"),
            ({"budget": Budget(200), "constraints": Constraints(max_out=12)}, "make 0 to 192"),
            ({"budget": Budget(9, "mean_degree"), "constraints": Constraints(max_in=8)},
             "hold no more than 128 edges"),
            ({"budget": Budget(8), "constraints": Constraints(min_in=1)}, "need 16 edges"),
            ({"budget": Budget(500)}, "all 256 allowed pairs"),
        ],
    )  # fmt: skip
    def test_what_no_choice_could_keep_to_is_refused(self, rule, message):
        with pytest.raises(ValueError, match=message):
            require_arrival(own(**rule), GRAPH, 30, SHEET)

    def test_forbidden_pairs_and_pairs_without_a_path_do_not_count(self):
        geometry = pieces()
        graph = connect.within_radius(geometry, 0.1)  # self-edges: 89 columns
        possible = 2 * 42**2 + 9 + 2
        assert most_edges(own(), graph, 1, geometry) == possible
        forbidden = torch.tensor([[0, 0, 0, 1], [1, 1, 60, 0]])  # the third has no path anyway
        rules = Constraints(forbidden=forbidden)
        assert most_edges(own(constraints=rules), graph, 1, geometry) == possible - 2
        rule = own(budget=Budget(possible + 1), per_grow=1)
        with pytest.raises(ValueError, match="pairs without a path allow no more"):
            require_arrival(rule, graph, 30, geometry)

    def test_wire_below_what_must_be_kept_is_refused_at_the_update_where_it_is(self):
        graph = connect.nearest(SHEET, 5, self_loops=False)
        rule = own(
            budget=Budget(Linear(100.0, 10.0, 10, 30), "length"), constraints=Constraints(min_in=1)
        )
        with pytest.raises(ValueError, match=r"It is 10 at update 3, step 30.* at least 16"):
            require_arrival(rule, graph, 30, SHEET)
        slow = own(budget=Budget(40.0, "length"), constraints=Constraints(max_dropped=1))
        with pytest.raises(ValueError, match=r"at update 1, step 10.*max_dropped"):
            require_arrival(slow, graph, 30, SHEET)

    def test_wire_of_a_graph_without_lengths_is_refused(self):
        graph = ColumnGraph.from_edge_index(GRAPH.edge_index, 16)
        with pytest.raises(ValueError, match=r"needs a graph with distances. Got none"):
            require_arrival(presets.wiring(30, 40.0, every=10), graph, 30)


@given(graphs(2, 8, 1), st.integers(0, 2), st.integers(0, 3), st.integers(0, 2**31))
def test_the_fewest_edges_are_what_selection_leaves(graph, least, pinned, seed):
    assume(int(graph.in_degree.min()) >= least)
    generator = torch.Generator().manual_seed(seed)
    some = torch.randperm(graph.num_edges, generator=generator)[:pinned]
    rules = Constraints(min_in=least, pinned=graph.edge_index[:, some])
    none, score = torch.empty(0, dtype=torch.int64), torch.rand(graph.num_edges)
    goal = fewest_edges(own(constraints=rules), graph, 1)
    for edges, missing in ((goal, 0), (goal - 1, -1)):
        if edges < least * graph.num_columns:
            continue
        chosen = select(
            graph, score, (none, none), torch.empty(0), fraction=0.0, edges=edges,
            constraints=rules,
        )  # fmt: skip
        assert chosen.missing == missing


@given(graphs(2, 8), st.booleans(), st.sampled_from([None, 2, 4]), st.integers(0, 4))
def test_the_most_edges_are_what_selection_makes(graph, loops, most, forbidden):
    n = graph.num_columns
    free = sorted({(t, s) for t in range(n) for s in range(n)} - set(pairs(graph)))
    never = torch.tensor([(s, t) for t, s in free[:forbidden]], dtype=torch.int64).reshape(-1, 2)
    assume(most is None or int(graph.in_degree.max()) <= most)
    rules = Constraints(self_loops=loops, forbidden=never.t(), max_in=most)
    goal = most_edges(own(constraints=rules), graph, 1, plane(graph))
    every = torch.tensor(free, dtype=torch.int64).reshape(-1, 2).t()
    score = torch.rand(graph.num_edges), torch.rand(every.shape[1])
    for edges, missing in ((goal, 0), (goal + 1, 1)):
        chosen = select(
            graph, score[0], tuple(every), score[1], fraction=0.0, edges=edges, constraints=rules
        )
        assert chosen.missing == missing


@given(graphs(2, 8, 1), st.integers(0, 2), st.integers(0, 3))
def test_the_least_wire_is_what_selection_leaves(graph, least, pinned):
    assume(int(graph.in_degree.min()) >= least)
    rules = Constraints(min_in=least, pinned=graph.edge_index[:, :pinned])
    wire = least_wire(own(constraints=rules), graph, 1)
    none, score = torch.empty(0, dtype=torch.int64), torch.rand(graph.num_edges)

    def left(length: float) -> float:
        chosen = select(
            graph, score, (none, none), torch.empty(0), fraction=0.0, length=length,
            pair_length=torch.empty(0), constraints=rules,
        )  # fmt: skip
        kept = torch.ones(graph.num_edges, dtype=torch.bool)
        kept[chosen.drop] = False
        return float(graph.distance[kept].double().sum())

    assert left(wire * (1 + 1e-9)) <= wire * (1 + 1e-9)
    if wire > 1e-3:
        with pytest.raises(ValueError, match="longer than the budget"):
            left(wire * 0.999)


def test_eight_edges_by_hand():
    """In-degrees 2, 2, 3, 1; in-edges of 2 are 2<-1, 2<-2 and 2<-3."""
    rules = Constraints(min_in=1, pinned=torch.tensor([[1, 3], [2, 2]]))
    rule = own(constraints=rules)
    assert fewest_edges(rule, eight(), 1) == 1 + 1 + 2 + 1
    assert least_wire(rule, eight(), 1) == 0 + 1 + 2 + 3
    assert most_edges(rule, eight(), 1, None) == 12 + 2
