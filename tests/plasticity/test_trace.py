"""Scores from whole models: against edges that are really inserted, and without side effects."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns import ColumnGraph
from graphcolumns.graph.keys import edge_ids
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.nn import ColumnAttention, EdgeBias
from graphcolumns.ops import edge_scores
from graphcolumns.plasticity.probe.pair_bias import mean_of_open, pair_bias
from graphcolumns.plasticity.probe.trace import iter_slices, trace
from tests.models.support.variants import make, make_staged

LIVELY = 1.5  # of fresh weights: else all scores are nearly equal
KINDS = {
    "recurrent": {},
    "feed-forward": {"weights": {"recurrent": False}, "interface": {"drive": "initial"}},
    "selection": {"attention": {"mode": "selection"}},
    "identity": {"attention": {"mode": "identity", "edge_bias": "edge"}},
    "per head": {"attention": {"edge_bias": "both"}},
    "recomputed": {
        "cost": {"memory": "recompute"},
        "weights": {"dropout": 0.3},
        "attention": {"edge_dropout": 0.3},
    },
    "in time": {"interface": {"time_embedding": True}, "cost": {"wiring": "distance"}},
    "mixing": {"attention": {"mode": "mixing", "edge_bias": "edge"}},
    "first values": {"attention": {"value": "input", "qk_channels": 3}},
}


def losses(output, labels: Tensor) -> Tensor:
    return F.cross_entropy(output.prediction, labels, reduction="none")


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(5, 1, 4, 4, dtype=torch.float64), torch.randint(5, (5,))


def model_of(**options) -> Columnformer:
    model = make(**options).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "edge_bias" in name:
                parameter.normal_()
            elif name.rsplit(".")[-1] in ("weight", "selector"):
                parameter.mul_(LIVELY)
    return model


def edge_biases(model: nn.Module) -> list[EdgeBias]:
    return [module for module in model.modules() if isinstance(module, EdgeBias)]


def inserted(model: Columnformer, target: int, source: int, score: float) -> Columnformer:
    """A copy of the model that has one more edge, of that score in every layer."""
    model = copy.deepcopy(model)
    pair = torch.tensor([[source], [target]])
    edges = torch.cat([model.graph.edge_index.long(), pair], 1)
    order = ColumnGraph.edge_order(edges)
    model.graph = ColumnGraph.from_edge_index(edges, model.graph.num_columns)
    model.wiring = None
    for bias in edge_biases(model):
        for name in ("common", "per_head"):
            old = getattr(bias, name)
            if old is not None:
                value = score if name == "common" or bias.common is None else 0.0
                new = torch.cat([old, old.new_full((1, *old.shape[1:]), value)])
                setattr(bias, name, nn.Parameter(new[order].detach()))
        bias.rewired(model.graph)
    return model


def a_candidate(graph: ColumnGraph) -> tuple[int, int]:
    edges = set(zip(*graph.edge_index.flip(0).tolist(), strict=True))
    return next((9, j) for j in range(graph.num_sources) if (9, j) not in edges)


@torch.no_grad()
def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    return losses(model.eval()(batch[0]), batch[1])


class TestAgainstRealEdges:
    """A newborn with little mass: its effect is its derivative, through all steps and heads."""

    SCORE = -15.0

    @pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
    def test_insertion_and_deletion(self, kind, batch):
        model = model_of(**kind)
        i, j = a_candidate(model.graph)
        larger = inserted(model, i, j, self.SCORE)
        change = loss(larger, batch) - loss(model, batch)

        pair = torch.tensor([i]), torch.tensor([j])
        born = torch.tensor([self.SCORE], dtype=torch.float64)
        before = trace(model, *batch, losses, *pair, newborn_bias=born, slice_size=2)
        assert float(before.insertion) == pytest.approx(float(change.sum()), rel=1e-3)
        assert float(before.insertion_squares) == pytest.approx(float((change**2).sum()), rel=1e-3)

        after = trace(larger, *batch, losses, *pair, slice_size=2)
        assert float(after.deletion) == pytest.approx(-float(change.sum()), rel=1e-3)
        assert float(after.deletion_squares) == pytest.approx(float((change**2).sum()), rel=1e-3)
        assert before.samples == after.samples == 5

    def test_the_gradient_of_the_edge_bias(self, batch):
        model = model_of()
        graph = model.graph
        got = trace(model, *batch, losses, graph.target, graph.source)
        [bias] = [x.common for x in edge_biases(model)]
        [gradient] = torch.autograd.grad(losses(model.eval()(batch[0]), batch[1]).sum(), bias)
        torch.testing.assert_close(got.bias_gradient, gradient)

    def test_the_mass_is_the_attention(self, batch):
        model = model_of(depth=1).eval()
        graph = model.graph
        seen = []
        [layer] = [m for m in model.modules() if isinstance(m, ColumnAttention)]
        layer.register_forward_hook(lambda _, args, __: seen.append(args[0]))
        got = trace(model, *batch, losses, graph.target, graph.source, slice_size=5)
        expected = layer.edge_weights(seen[0], graph).mean((1, 2))
        torch.testing.assert_close(got.mass.float() / 5, expected)


class TestSlices:
    def test_do_not_matter(self, batch):
        model = model_of()
        pairs = torch.randint(32, (2, 40))
        whole = trace(model, *batch, losses, *pairs, slice_size=5)
        parts = trace(model, *batch, losses, *pairs, slice_size=1, chunk=7)
        torch.testing.assert_close(parts.sums(), whole.sums())

    def test_the_order_of_pairs_does_not_matter(self, batch):
        model, pairs = model_of(), torch.randint(32, (2, 40))
        born = torch.randn(40, dtype=torch.float64)
        whole = trace(model, *batch, losses, *pairs, newborn_bias=born)
        order = pairs[0].argsort()
        in_order = trace(model, *batch, losses, *pairs[:, order], newborn_bias=born[order])
        torch.testing.assert_close(whole.at(order).sums(), in_order.sums())

    def test_batches_add_up(self, batch):
        model, pairs = model_of(), torch.randint(32, (2, 40))
        halves = [
            trace(model, batch[0][part], batch[1][part], losses, *pairs)
            for part in (slice(2), slice(2, 5))
        ]
        whole = trace(model, *batch, losses, *pairs)
        torch.testing.assert_close((halves[0] + halves[1]).sums(), whole.sums())

    def test_the_model_sees_no_more_than_a_slice(self, batch):
        model, sizes = model_of(), []
        model.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
        trace(model, *batch, losses, *torch.randint(32, (2, 4)), slice_size=2)
        assert sizes == [2, 2, 1]


class TestNothingElseChanges:
    @pytest.mark.parametrize("kind", ["recurrent", "recomputed", "feed-forward"])
    def test_training_goes_on_as_if_nothing_happened(self, kind, batch):
        def step(traced: bool) -> list[Tensor]:
            model = model_of(**KINDS[kind]).train()
            model.readout.eval()
            torch.manual_seed(5)
            if traced:
                trace(model, *batch, losses, *torch.randint(32, (2, 4)).clone())
                torch.manual_seed(5)
            assert model.training
            assert not model.readout.training
            assert all(p.grad is None for p in model.parameters())
            losses(model(batch[0]), batch[1]).mean().backward()
            return [p.grad for p in model.parameters() if p.grad is not None]

        for x, y in zip(step(True), step(False), strict=True):
            assert torch.equal(x, y)

    def test_no_random_number_is_drawn(self, batch):
        model, pairs = (
            model_of(weights={"dropout": 0.3}, attention={"edge_dropout": 0.3}).train(),
            torch.randint(32, (2, 4)),
        )
        before = torch.get_rng_state()
        trace(model, *batch, losses, *pairs)
        assert torch.equal(torch.get_rng_state(), before)

    def test_also_after_an_error(self, batch):
        model = model_of().train()
        with pytest.raises(ValueError, match=r"one loss per sample, \[5\], got \[\]"):
            trace(model, *batch, lambda y, t: losses(y, t).mean(), *torch.zeros(2, 1).long())
        layers = [m for m in model.modules() if isinstance(m, ColumnAttention)]
        assert model.training
        assert all(layer.recorder is None for layer in layers)

    def test_a_recorder_is_no_part_of_the_model(self):
        model = model_of()
        assert not any("recorder" in name for name in model.state_dict())


class TestOtherModels:
    def test_without_trained_parameters(self, batch):
        model, pairs = model_of(), torch.randint(32, (2, 9))
        expected = trace(model, *batch, losses, *pairs)
        model.requires_grad_(False)
        with torch.no_grad():
            torch.testing.assert_close(trace(model, *batch, losses, *pairs).sums(), expected.sums())

    def test_under_autocast(self, batch):
        model, pairs = model_of().float(), torch.randint(32, (2, 9))
        with torch.autocast("cpu", torch.bfloat16):
            got = trace(model, batch[0].float(), batch[1], losses, *pairs)
        assert got.insertion.dtype == torch.float32
        assert got.sums().isfinite().all()

    def test_a_stage_of_several_sheets(self):
        model = make_staged(depths=(2, 3, 3))
        stage = model.stages[1]
        images, labels = torch.randn(3, 1, 8, 8), torch.randint(5, (3,))
        graph = stage.graph
        got = trace(model, images, labels, losses, graph.target, graph.source, graph=graph)
        [part] = iter_slices(model, images, labels, losses, graph=graph)
        assert part.attention.q.shape[:3] == (2, 16, 3)
        torch.testing.assert_close(got.mass.sum() / 3, torch.tensor(16.0))


class TestErrors:
    def test_no_records(self, batch):
        graph = model_of().graph
        with pytest.raises(ValueError, match="Got Flatten with none; give your layer a recorder"):
            trace(nn.Flatten(), *batch, losses, *torch.zeros(2, 1).long(), graph=graph)

    def test_another_graph(self, batch):
        model = model_of()
        other = ColumnGraph.from_edge_index(torch.tensor([[1], [0]]), 32)
        with pytest.raises(ValueError, match="none was recorded along"):
            trace(model, *batch, losses, *torch.zeros(2, 1).long(), graph=other)

    def test_pairs_and_samples(self, batch):
        model, pair = model_of(), torch.zeros(2, 1).long()
        with pytest.raises(ValueError, match="targets must be ids from 0 to 31"):
            trace(model, *batch, losses, pair[0] + 32, pair[1])
        with pytest.raises(ValueError, match=r"same samples.*got 5, 4 and slice_size=8"):
            trace(model, batch[0], batch[1][:4], losses, *pair)
        with pytest.raises(ValueError, match="at least one sample"):
            trace(model, batch[0][:0], batch[1][:0], losses, *pair)
        with pytest.raises(ValueError, match=r"newborn_bias must hold.*\[P\] = \[1\]"):
            trace(model, *batch, losses, *pair, newborn_bias=torch.zeros(2))


class TestPairBias:
    """Column 0 hears 1 and 2, column 1 nobody, column 2 hears 0."""

    graph = ColumnGraph.from_edge_index(torch.tensor([[1, 2, 0], [0, 0, 2]]), 3)
    targets, sources = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 2, 2, 0, 1])

    def test_edge_ids(self):
        ids = edge_ids(self.graph, self.targets, self.sources)
        assert ids.tolist() == [-1, 1, -1, 2, -1]

    def test_ids_without_edges(self):
        empty = ColumnGraph.from_edge_index(torch.zeros(2, 0).long(), 3)
        assert edge_ids(empty, self.targets, self.sources).tolist() == [-1] * 5
        assert (
            pair_bias(torch.zeros(0), None, empty, torch.full((5,), -1), self.targets).tolist()
            == [0.0] * 5
        )

    def test_newborns_get_the_mean_of_their_column(self):
        bias = torch.tensor([1.0, 3.0, 5.0])
        assert mean_of_open(bias, self.graph).tolist() == [2.0, 0.0, 5.0]
        ids = edge_ids(self.graph, self.targets, self.sources)
        got = pair_bias(bias, None, self.graph, ids, self.targets)
        assert got.tolist() == [2.0, 3.0, 0.0, 5.0, 5.0]

    def test_closed_edges_do_not_count(self):
        bias = torch.tensor([1.0, -torch.inf, -torch.inf])
        assert mean_of_open(bias, self.graph).tolist() == [1.0, 0.0, 0.0]

    def test_given_scores_are_those_of_candidates(self):
        ids = edge_ids(self.graph, self.targets, self.sources)
        born = torch.tensor([[7.0, 8.0]]).expand(5, 2)
        got = pair_bias(torch.tensor([1.0, 3.0, 5.0]), born, self.graph, ids, self.targets)
        assert got.tolist() == [[7, 8], [3, 3], [7, 8], [5, 5], [7, 8]]
        got = pair_bias(None, born[:, 0], self.graph, ids, self.targets)
        assert got.tolist() == [7, 0, 7, 0, 7]

    def test_a_constant_per_column_changes_no_score(self):
        """Softmax does not see it, so neither may a rule."""
        model = model_of()
        batch = torch.randn(3, 1, 4, 4, dtype=torch.float64), torch.randint(5, (3,))
        pairs = torch.cartesian_prod(torch.arange(32), torch.arange(32)).T
        before = trace(model, *batch, losses, *pairs)
        [bias] = [x.common for x in edge_biases(model)]
        with torch.no_grad():
            bias += torch.randn(32, dtype=bias.dtype)[model.graph.target.long()]
        after = trace(model, *batch, losses, *pairs)
        torch.testing.assert_close(after.sums(), before.sums(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("level", [1e4, 1e8, -1e8])
@pytest.mark.parametrize("born", [False, True])
def test_a_large_constant_per_column_changes_no_score(level, born):
    """In single precision: masses sum to one, and candidates are worth what they were."""
    model = model_of().float()
    batch = torch.randn(3, 1, 4, 4), torch.randint(5, (3,))
    pairs = torch.cartesian_prod(torch.arange(32), torch.arange(32)).T
    [bias] = [x.common for x in edge_biases(model)]
    plain = 8 * torch.randint(-1, 2, bias.shape).float()
    constants = level * torch.linspace(-1, 1, 32).round(decimals=1)
    runs = []
    for added in (torch.zeros(32), constants):
        with torch.no_grad():
            bias.copy_(plain + added[model.graph.target.long()])
        given = added[pairs[0]] if born else None
        runs.append(trace(model, *batch, losses, *pairs, newborn_bias=given))
    before, after = runs
    is_edge = edge_ids(model.graph, *pairs) >= 0
    mass = torch.zeros(32).index_add(0, pairs[0][is_edge], after.mass[is_edge]) / len(batch[0])
    torch.testing.assert_close(mass, (model.graph.in_degree > 0).float(), rtol=2e-6, atol=2e-6)
    size = before.sums().abs().amax(1, keepdim=True)
    assert ((after.sums() - before.sums()).abs() <= 1e-4 * size).all()


def test_slices_give_what_edge_scores_takes(batch):
    model = model_of(attention={"mode": "selection"})
    [part] = iter_slices(model, *batch, losses)
    part = part.attention
    assert part.q.shape[:3] == (3, 32, 1)
    assert part.k.shape[:3] == part.v.shape[:3] == (3, 32, 5)
    pairs = torch.randint(32, (2, 6))
    ids = edge_ids(model.graph, *pairs)
    bias = pair_bias(part.bias, None, model.graph, ids, pairs[0])
    got = edge_scores(*part[:6], *pairs, bias=bias, scale=part.scale)
    expected = trace(model, *batch, losses, *pairs)
    torch.testing.assert_close(got.insertion, expected.insertion)
