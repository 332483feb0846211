"""A columnformer survives what users do to modules."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from tests.models.support.variants import VARIANTS, gradients, make


@pytest.fixture(params=VARIANTS)
def options(request) -> dict:
    return VARIANTS[request.param]


@pytest.fixture
def images() -> Tensor:
    return torch.randn(6, 1, 4, 4)


class TestModule:
    def test_deepcopy_and_pickle(self, options, images):
        model = make(**options).eval()
        expected = model(images).prediction
        for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(copied(images).prediction, expected)
            assert copied.graph.same_topology(model.graph)
            assert copied.wiring_norm == model.wiring_norm

    def test_state_dict(self, options, images):
        model, other = make(**options).eval(), make(**options).eval()
        for parameter in other.parameters():
            nn.init.normal_(parameter)
        assert not torch.equal(other(images).prediction, model(images).prediction)
        other.load_state_dict(model.state_dict())
        assert torch.equal(other(images).prediction, model(images).prediction)

    def test_the_graph_follows_and_is_in_the_state_dict(self):
        model = nn.Sequential(make())
        kept = {name for name in model.state_dict() if "graph" in name or "seen" in name}
        assert kept == {f"0.graph.{p}" for p in ("rowptr", "source", "distance", "num_sources")}
        graph = model.to("meta")[0].graph
        assert {graph.device.type, graph.by_source.target.device.type} == {"meta"}

    def test_double(self, options, images):
        model = make(**options).eval()
        single = model(images).prediction
        double = model.double()(images.double())
        assert double.prediction.dtype == double.state.dtype == torch.float64
        assert torch.allclose(double.prediction.float(), single, atol=1e-5)
        assert model.graph.source.dtype == torch.int32
        double.prediction.sum().backward()

    def test_bfloat16_autocast(self, options, images):
        model = make(**options).eval()
        single = model(images).prediction
        with torch.autocast("cpu", torch.bfloat16):
            half = model(images).prediction
        half.float().sum().backward()
        assert torch.allclose(half.float(), single, atol=0.1)
        assert all(grad.dtype == torch.float32 for grad in gradients(model).values())

    @pytest.mark.parametrize("name", ["recomputed", "spatial"])
    def test_compile(self, name, images):
        torch.compiler.reset()
        eager, compiled = make(**VARIANTS[name]), make(**VARIANTS[name])
        if name == "recomputed":  # compiled code draws dropout of activations in another order
            eager, compiled = eager.eval(), compiled.eval()
        run = torch.compile(compiled, fullgraph=True, backend="aot_eager")
        for model, call in ((eager, eager), (compiled, run)):
            torch.manual_seed(0)
            output = call(images)
            output.prediction.square().sum().backward()
            model.result = output.prediction.detach()
        assert torch.allclose(eager.result, compiled.result, atol=1e-5)
        expected = gradients(eager)
        for parameter, gradient in gradients(compiled).items():
            assert torch.allclose(gradient, expected[parameter], atol=1e-4), parameter

    @pytest.mark.parametrize("name", ["default", "linear mixing", "in time"])
    def test_export(self, name, images):
        model = make(**VARIANTS[name]).eval()
        program = torch.export.export(model, (images,))
        assert torch.allclose(
            program.module()(images).prediction, model(images).prediction, atol=1e-6
        )


@pytest.mark.parametrize("weights", ["untied", "mixture", "lowrank", "shared"])
@pytest.mark.parametrize("recurrent", [True, False])
def test_recomputation_is_bit_for_bit(weights, recurrent, images):
    results = []
    for memory in ("store", "recompute"):
        model = make(
            attention={"edge_dropout": 0.3},
            weights={"attention": weights, "recurrent": recurrent, "dropout": 0.3},
            cost={"wiring": "distance", "memory": memory},
        )
        torch.manual_seed(0)
        output = model(images)
        (output.prediction.square().sum() + output.cost.sum()).backward()
        results.append({"logits": output.prediction, **gradients(model)})
    stored, recomputed = results
    assert stored.keys() == recomputed.keys()
    for name, value in stored.items():
        assert torch.equal(value, recomputed[name]), name
