import pytest
import torch
from torch_geometric.explain import AttentionExplainer, Explainer, GNNExplainer

from graphcolumns.graph import ColumnGraph
from graphcolumns.nn import ColumnConv
from tests.nn.graphs import random_edges


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
