"""What passes through sub-networks compute, counted: products along edges whose ends are open."""

from unittest.mock import patch

import pytest
import torch
from torch.amp import GradScaler
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from geometries import grid
from graphcolumns import connect
from graphcolumns.learning import counter_hebb
from graphcolumns.models.bottom_up_top_down import BottomUpTopDown, by_task
from graphcolumns.nn.top_down import (
    Population,
    Projection,
    SubNetworkNeurons,
    TopDownEdges,
    TopDownNetwork,
    open_edges,
)
from graphcolumns.nn.top_down import edges as whole_edges
from tests.models.bottom_up_top_down.test_three_passes import complete

SIDE, CHANNELS, SAMPLES = 32, 2, 3
COLUMNS, STEPS = SIDE * SIDE, ("one", "two", "three")
TERMS = {"task": (1.0, lambda model, output, y: F.cross_entropy(output.prediction, y))}


class Counted(TorchDispatchMode):
    """Multiply-adds of the sums along edges that are run inside."""

    total = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if op.name().startswith("graphcolumns::edge_linear"):
            x, weight = args[:2]
            self.total += weight.shape[0] * x.shape[1] * x.shape[2] * x.shape[3]
        return op(*args, **(kwargs or {}))


def sheet(fraction, kind):
    """A recurrent sheet whose task opens chosen columns of every step."""
    torch.manual_seed(0)
    again = TopDownEdges(connect.nearest(grid.sheet(SIDE, SIDE), degree=16).named("sheet"))
    populations = {name: Population((COLUMNS, CHANNELS), columns=True) for name in STEPS}
    for name, count in (("input", COLUMNS), ("prediction", 4), ("task", 1)):
        populations[name] = Population((count, CHANNELS), "identity", columns=True)
    links = [Projection(a, b, again) for a, b in zip(("input", *STEPS), STEPS, strict=False)]
    links.append(Projection("three", "prediction", TopDownEdges(complete(4, COLUMNS))))
    for above, name in enumerate(reversed(STEPS), 1):
        layer = TopDownEdges(complete(1, COLUMNS).named(name), bias=False)
        score = torch.rand(COLUMNS) if kind == "random" else torch.arange(COLUMNS)
        # More than what arrives from the step above.
        opens = torch.where(score.argsort().argsort() < fraction * COLUMNS, 1.0, -1.0)
        layer.weight.data.copy_(opens * 100.0**above)
        links.append(Projection(name, "task", layer))
    model = BottomUpTopDown(TopDownNetwork(populations, links), skip_closed=True)
    for gate in model.gates(batch()[0]).values():
        assert float(gate.mean()) == pytest.approx(fraction, abs=1 / COLUMNS)
    return model


def batch():
    image = torch.randn(SAMPLES, COLUMNS * CHANNELS)
    return {"image": image, "instruction": torch.ones(SAMPLES, CHANNELS)}, torch.arange(SAMPLES)


def open_edges_of(model):
    """Edges with two open ends, for every projection, from the gates alone."""
    gates = model.gates(batch()[0])
    ones = torch.ones(COLUMNS, dtype=torch.bool)
    is_open = {n: gates[n].flatten(1).any(1) if n in gates else ones for n in gates}
    found = {}
    for source, target, layer in model.network.projections:
        below, above = (is_open.get(name, ones) for name in (source, target))
        kept = below[layer.graph.source] & above[layer.graph.target]
        found[source, target] = int(kept.sum())
    return found


@pytest.mark.parametrize("kind", ["random", "compact"])
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.2, 0.05])
def test_the_guided_pass_multiplies_along_open_edges_alone(fraction, kind):
    model, (inputs, _) = sheet(fraction, kind), batch()
    with torch.no_grad(), Counted() as instruction:
        model.gates(inputs)
    with torch.no_grad(), Counted() as both:
        model(inputs)
    expected = sum(open_edges_of(model).values()) * SAMPLES * CHANNELS
    assert both.total - instruction.total == expected


def test_of_random_gates_the_square_remains():
    model = sheet(0.2, "random")
    kept, edges = open_edges_of(model), model.graphs["sheet"].num_edges
    # The input has no gates: one of two ends is open there.
    assert kept["input", "one"] == pytest.approx(0.2 * edges, rel=0.1)
    assert kept["one", "two"] == pytest.approx(0.04 * edges, rel=0.2)
    compact = open_edges_of(sheet(0.2, "compact"))
    assert 0.15 * edges < compact["one", "two"] < 0.2 * edges


def test_a_training_step_multiplies_along_open_edges_alone():
    model, given = sheet(0.2, "random"), batch()
    products = [0]

    def counted(x, counter, graph, **options):
        products[0] += graph.num_edges * SAMPLES * CHANNELS
        return true(x, counter, graph, **options)

    true = open_edges.edge_products
    with (
        patch.object(open_edges, "edge_products", counted),
        patch.object(whole_edges, "edge_products", counted),
        Counted() as sums,
    ):
        counter_hebb(model, given, TERMS, scaler=GradScaler(enabled=False))
    with torch.no_grad(), Counted() as instruction:
        model.gates(given[0])
    kept = open_edges_of(model)
    # The task is read by nothing, and the error pass ends above the input.
    learned = {ends: count for ends, count in kept.items() if ends[1] != "task"}
    down = sum(count for ends, count in learned.items() if ends[0] != "input")
    assert products[0] == sum(learned.values()) * SAMPLES * CHANNELS
    expected = (sum(kept.values()) + down) * SAMPLES * CHANNELS
    assert sums.total - instruction.total == expected
    whole = model.graphs["sheet"].num_edges * len(STEPS) * SAMPLES * CHANNELS
    assert products[0] < whole / 5


@pytest.mark.parametrize(
    ("fraction", "samples", "fewest", "skips"),
    [
        (0.2, 16, 2**14, True),
        (0.2, 4, 2**14, False),
        (0.8, 16, 2**14, False),
        (0.2, 16, 2**16, False),
    ],
)
def test_auto_skips_on_large_graphs_where_it_is_quicker(
    fraction, samples, fewest, skips, monkeypatch
):
    monkeypatch.setattr(by_task, "FEWEST_EDGES", fewest)
    model = sheet(fraction, "random")
    model.skip_closed = "auto"
    image = torch.randn(samples, COLUMNS * CHANNELS)
    neurons = model.neurons({"image": image, "instruction": torch.ones(samples, CHANNELS)})
    assert isinstance(neurons, SubNetworkNeurons) is skips
