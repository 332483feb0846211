import pytest
import torch
from torch_geometric.explain import AttentionExplainer, Explainer, GNNExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv
from tests.nn.support.graphs import random_edges


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = ColumnConv(4, 8, 10, heads=2), ColumnConv(16, 3, 10)

    def forward(self, x, edge_index):
        return self.second(self.first(x, edge_index).relu(), edge_index)


CONFIG = {"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"}


def test_gnn_explainer():
    edge_index, model = random_edges(10, 30), Net()
    explainer = Explainer(
        model,
        GNNExplainer(epochs=5),
        explanation_type="model",
        node_mask_type="attributes",
        edge_mask_type="object",
        model_config=CONFIG,
    )
    x = torch.randn(10, 4)
    explanation = explainer(x, edge_index, index=2)
    assert explanation.node_mask.size() == (10, 4)
    assert explanation.edge_mask.size() == (30,)
    assert explanation.edge_mask.min() >= 0
    assert explanation.edge_mask.max() > 0
    graph = ColumnGraph.from_edge_index(edge_index, 10)  # explained or not, the model is as before
    torch.testing.assert_close(model(x, graph), model(x, edge_index), atol=1e-5, rtol=1e-5)


def test_edge_mask_silences_an_edge():
    edge_index, conv, x = random_edges(10, 30), ColumnConv(4, 8, 10), torch.randn(10, 4)
    graph = ColumnGraph.from_edge_index(edge_index, 10)
    expected = conv(x, graph)
    conv.explain, conv._apply_sigmoid = True, False
    conv._edge_mask, conv._loop_mask = torch.zeros(30), torch.zeros(30, dtype=torch.bool)
    for edges in (edge_index, graph):  # an explained layer leaves the fused path
        assert torch.equal(conv(x, edges), torch.zeros(10, 8))
    conv.explain, conv._edge_mask = None, None
    assert torch.equal(conv(x, graph), expected)


def test_attention_explainer():
    edge_index, model = random_edges(10, 30), Net()
    explainer = Explainer(
        model,
        AttentionExplainer(),
        explanation_type="model",
        edge_mask_type="object",
        model_config=CONFIG,
    )
    x = torch.randn(10, 4)
    mask = explainer(x, edge_index).edge_mask
    first, (_, alpha) = model.first(x, edge_index, return_attention_weights=True)
    _, (_, beta) = model.second(first.relu(), edge_index, return_attention_weights=True)
    torch.testing.assert_close(mask, torch.stack([alpha.max(-1)[0], beta.max(-1)[0]]).amax(0))


KINDS = ["propagate", "message", "aggregate", "edge_update"]


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_see_tensors_of_a_column_graph(kind):
    graph = ColumnGraph.from_edge_index(random_edges(10, 30), 10)
    conv, x, seen = ColumnConv(4, 8, 10, heads=2), torch.randn(10, 4), []
    expected = conv(x, graph)

    def before(module, inputs):
        seen.append(inputs)

    def after(module, inputs, output):
        seen.append(output)

    handles = [
        getattr(conv, f"register_{kind}_forward_pre_hook")(before),
        getattr(conv, f"register_{kind}_forward_hook")(after),
    ]
    torch.testing.assert_close(conv(x, graph), expected, atol=1e-6, rtol=1e-5)
    assert len(seen) == 2
    sizes = {"propagate": (10, 2, 8), "message": (30, 2, 8), "aggregate": (10, 2, 8)}
    assert seen[1].size() == sizes.get(kind, (30, 2))
    for handle in handles:
        handle.remove()
    conv(x, graph)
    assert len(seen) == 2


def test_a_hook_changes_messages():
    graph, x = ColumnGraph.from_edge_index(random_edges(10, 30), 10), torch.randn(10, 4)
    conv = ColumnConv(4, 8, 10)
    expected = conv(x, graph)
    handle = conv.register_message_forward_hook(lambda module, inputs, output: 2 * output)
    torch.testing.assert_close(conv(x, graph), 2 * expected, atol=1e-6, rtol=1e-5)
    handle.remove()


class Layers(torch.nn.Module):
    """Two layers with options; explainers hand on features of edges by name."""

    def __init__(self, options):
        super().__init__()
        self.first = ColumnConv(4, 8, 10, heads=2, **options)
        self.second = ColumnConv(16, 3, 10, **options)

    def forward(self, x, edge_index, edge_attr=None):
        return self.second(self.first(x, edge_index, edge_attr).relu(), edge_index, edge_attr)


TEN = ColumnGraph.from_edge_index(random_edges(10, 30), 10)
OPTIONS = {
    "root_weight": {"root_weight": True, "beta": True},
    "edge_bias": {"edge_bias": TEN},
    "self-loops": {"add_self_loops": True},
    "scores": {"edge_dim": 2, "add_self_loops": True},
    "keys_values": {"edge_dim": 2, "edge_features": "keys_values"},
}


def explainer_of(model, algorithm, **masks):
    masks = {"edge_mask_type": "object", **masks}
    return Explainer(model, algorithm, explanation_type="model", model_config=CONFIG, **masks)


@pytest.fixture(params=OPTIONS)
def model(request):
    return Layers(OPTIONS[request.param])


def arguments(model):
    attr = torch.randn(30, 2) if model.first.edge_dim else None
    return {} if attr is None else {"edge_attr": attr}


def test_gnn_explainer_of_every_option(model):
    x, given = torch.randn(10, 4), arguments(model)
    explainer = explainer_of(model, GNNExplainer(epochs=3), node_mask_type="attributes")
    hears_most = int(TEN.in_degree.argmax())
    mask = explainer(x, TEN.edge_index, index=hears_most, **given).edge_mask
    assert mask.size() == (30,)
    assert mask.max() > 0
    expected = model(x, TEN.edge_index, **given)
    torch.testing.assert_close(model(x, TEN, **given), expected, atol=1e-5, rtol=1e-5)


def test_attention_explainer_of_every_option(model):
    x, given = torch.randn(10, 4), arguments(model)
    mask = explainer_of(model, AttentionExplainer())(x, TEN.edge_index, **given).edge_mask
    edges, alpha = model.first(x, TEN.edge_index, *given.values(), return_attention_weights=True)[1]
    kept = 30 if edges.shape[1] == 30 else int((TEN.source != TEN.target).sum())
    assert (mask[:kept] >= alpha[:kept].max(-1)[0] - 1e-6).all()


def test_captum_explainer_of_every_option(model):
    pytest.importorskip("captum")
    from torch_geometric.explain import CaptumExplainer

    explainer = explainer_of(
        model, CaptumExplainer("IntegratedGradients"), node_mask_type="attributes"
    )
    explanation = explainer(torch.randn(10, 4), TEN.edge_index, index=2, **arguments(model))
    assert explanation.edge_mask.size() == (30,)


@pytest.mark.parametrize("form", ["edge_index", "graph"])
def test_masks_silence_edges_in_both_forms(model, form):
    """With all edges silent, a column is left with itself: its self-loop and its root."""
    conv, x, given = model.first, torch.randn(10, 4), arguments(model)
    edges = TEN if form == "graph" else TEN.edge_index
    before = conv(x, edges, *given.values())
    set_masks(conv, torch.zeros(30), TEN.edge_index, apply_sigmoid=False)
    silent = conv(x, edges, *given.values())
    clear_masks(conv)
    nothing = ColumnGraph.from_edge_index(torch.empty(2, 0, dtype=torch.long), 10)
    if conv.add_self_loops:
        assert not torch.equal(silent, torch.zeros_like(silent))
    elif conv.root_weight:
        torch.testing.assert_close(silent, conv(x, nothing))
    else:
        assert torch.equal(silent, torch.zeros_like(silent))
    assert torch.equal(conv(x, edges, *given.values()), before)


@pytest.mark.parametrize("index", [None, 2])
@pytest.mark.parametrize("make", [lambda: GNNExplainer(epochs=2), AttentionExplainer])
def test_explainers_refuse_a_column_graph_and_say_what_to_pass(make, index):
    model = Layers({})
    with pytest.raises((AttributeError, TypeError), match=r"explainers.* Pass graph\.edge_index"):
        explainer_of(model, make())(torch.randn(10, 4), TEN, index=index)
    assert model.first.explain is None
    assert model.first._edge_mask is None


def test_a_column_graph_is_not_taken_for_edges():
    for take in (lambda g: g[0], lambda g: g[:, 1:], lambda g: g.size(1), lambda g: list(g)):
        with pytest.raises((AttributeError, TypeError), match="a ColumnGraph is no tensor"):
            take(TEN)
    assert not hasattr(TEN, "size")
