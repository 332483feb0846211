"""Brain encoders as models: built by options, trained, rewired, saved, looked at."""

import pickle
from functools import partial

import pytest
import torch
from torch import nn

from graphcolumns import train
from graphcolumns.connect import complete_between
from graphcolumns.data import Dataset, Regression
from graphcolumns.geometry import Regions
from graphcolumns.models.brain_encoder import (
    BrainEncoder,
    QueryDecoder,
    TokenPosition,
    VertexReadout,
    brain_encoder,
    cross_attention_encoder,
    linear_encoder,
    one_per_vertex,
    region_edges,
    spatial_feature_encoder,
)
from graphcolumns.plasticity import presets
from graphcolumns.training import TrainOptions

M, F, V = 16, 8, 30
DECODER = {"heads": 2, "hidden": 16, "dropout": 0.0}


def regions(hemisphere=True):
    masks = torch.zeros(3, V, dtype=torch.bool)
    masks[0, :10] = masks[1, 5:15] = masks[2, 15:25] = True
    side = (torch.arange(V) >= 15).long() if hemisphere else None
    return Regions(masks, ("lh.V1", "lh.V2", "rh.FFA"), ("prf", "prf", "floc"), side)


def data(samples=96):
    torch.manual_seed(0)
    x, y = torch.randn(samples, M, F), torch.randn(samples, V)
    return Dataset({"features": x}, y, {"features": x}, y, task=Regression(regions=regions()))


BUILDERS = {
    "transformer": lambda: brain_encoder(
        V, regions=regions(), tokens=(M, F), decoder={**DECODER, "edge_bias": True}
    ),
    "learned weights": lambda: brain_encoder(
        V, regions=regions(), tokens=(M, F), decoder=DECODER, edge_weights=True
    ),
    "unlisted": lambda: brain_encoder(
        V, regions=regions(), tokens=(M, F), decoder=DECODER, edges="unlisted"
    ),
    "vertices": lambda: brain_encoder(
        V, queries="vertices", tokens=(M, F), decoder={**DECODER, "channels": 12}, edges=5, chunk=8
    ),
    "cross": lambda: cross_attention_encoder(V, regions=regions(), tokens=(M, F), heads=2),
    "field": lambda: spatial_feature_encoder(V, regions=regions(), tokens=(M, F)),
    "linear": lambda: linear_encoder(V, tokens=(M, F), channels=4),
}


@pytest.mark.parametrize("name", list(BUILDERS))
def test_a_variant_trains_resumes_and_is_rewired(name, tmp_path):
    torch.manual_seed(0)
    model, samples = BUILDERS[name](), data()
    options = TrainOptions(steps=6, epochs=None, batch_size=8, lr=1e-2, progress=False)
    rewire = None if name == "unlisted" else partial(presets.set, every=2, samples=8)
    found = train(model, samples, run=tmp_path / "run", options=options, plasticity=rewire)
    assert found["train_r2"] > -5
    other = BUILDERS[name]()
    other.load_state_dict(model.state_dict())
    x = samples.train_inputs
    for again in (other, pickle.loads(pickle.dumps(model))):
        assert torch.equal(again.eval()(x).prediction, model.eval()(x).prediction)


def test_queries_by_name():
    def queries(names, **more):
        return brain_encoder(
            V, regions=regions(**more), tokens=(M, F), decoder=DECODER, queries=names
        ).decoder.num_queries

    assert queries("regions") == 3 + 1  # lh.rest has no vertex, rh.rest has
    assert queries("hemispheres") == 2
    assert queries("vertices") == V
    assert queries(["prf"]) == 2 + 1
    assert queries("floc") == 1 + 2
    assert queries(region_edges(regions())) == 3


def test_inputs_and_what_is_returned():
    model = BUILDERS["transformer"]().eval()
    x = torch.randn(2, M, F)
    out = model({"features": x})
    assert out.prediction.shape == (2, V)
    assert out.state.shape == (4, 2, F)
    assert torch.equal(out.prediction, model(x).prediction)
    weights = model.attention(x, heads=True)
    assert weights.shape == (4, 2, 2, M)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, 2, 2))
    assert torch.equal(model.attention(x, slice(1, 3)), weights[1:3].mean(2))
    assert "4 queries" in model.describe()
    assert list(model.graphs) == ["tokens", "readout"]


def test_a_frozen_backbone_stays_as_it_is():
    backbone = nn.Sequential(nn.Flatten(2), nn.BatchNorm1d(M), nn.Dropout(0.5))
    model = brain_encoder(
        V, regions=regions(), tokens=(M, 4), decoder=DECODER, backbone=backbone
    ).train()
    assert not backbone.training
    assert model.decoder.training
    x = torch.randn(3, M, 2, 2)
    model(x).prediction.sum().backward()
    assert all(p.grad is None for p in backbone.parameters())
    assert model.decoder.embedding.grad is not None
    learning = brain_encoder(
        V, regions=regions(), tokens=(M, 4), decoder=DECODER, position="learned",
        backbone=nn.Sequential(nn.Flatten(2), nn.Linear(4, 4)), train_backbone=True,
    )  # fmt: skip
    learning(x).prediction.sum().backward()
    assert learning.backbone[1].weight.grad is not None


def test_rigl_prunes_what_is_not_attended(tmp_path):
    torch.manual_seed(0)
    model = brain_encoder(V, regions=regions(), tokens=(M, F), decoder=DECODER, edges=6)
    options = TrainOptions(steps=40, epochs=None, batch_size=8, lr=1e-2, progress=False)
    rules = {"tokens": partial(presets.rigl, every=10, samples=8)}
    before = model.graphs["tokens"]
    train(model, data(), run=tmp_path / "run", options=options, plasticity=rules)
    after = model.graphs["tokens"]
    assert after.num_edges == before.num_edges
    assert after.fingerprint != before.fingerprint
    assert model.graphs["readout"].same_topology(region_edges(regions().with_rest()))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: brain_encoder(V, tokens=(M, F)), ValueError, "needs the regions"),
        (lambda: brain_encoder(V + 1, regions=regions(), tokens=(M, F)), ValueError,
         "Expected 31. Got 30"),
        (lambda: brain_encoder(V, regions=regions()), ValueError, "Got no data set"),
        (lambda: brain_encoder(V, regions=regions(False), queries="hemispheres", tokens=(M, F)),
         ValueError, "needs the hemisphere"),
        (lambda: brain_encoder(V, regions=regions(), queries="eeg", tokens=(M, F)), ValueError,
         "'prf', 'floc'. Got 'eeg'"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(M, F), edges=M + 1), ValueError,
         r"in \[1, 16\]. Got 17"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(M, F), edges="near"), ValueError,
         "Got 'near'"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(M, F), edges=complete_between(3, M)),
         ValueError, "16 tokens to 4 queries"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(15, F), decoder=DECODER), ValueError,
         "needs the grid of 15 tokens"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(M, F), decoder={"head": 2}),
         TypeError, "Did you mean 'heads'"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(M, F), decoder={"heads": 3}),
         ValueError, "heads must divide .* unless decoder.channels says another"),
        (lambda: brain_encoder(V, regions=regions(), tokens=(M, F), decoder=DECODER, chunk=4),
         ValueError, "every vertex has its own"),
        (lambda: brain_encoder(V, queries="vertices", tokens=(M, F), edges="unlisted",
                               decoder={**DECODER, "edge_bias": True}),
         ValueError, "needs a list of edges"),
        (lambda: BrainEncoder(QueryDecoder(3, F, 2, 8), VertexReadout(one_per_vertex(4), F)),
         ValueError, "read-out of 3 queries"),
        (lambda: BrainEncoder(QueryDecoder(complete_between(3, M), F, 2, 8),
                              VertexReadout(complete_between(4, 3), F),
                              position=TokenPosition("learned", 9, F)),
         ValueError, "Expected 16. Got 9"),
        (lambda: spatial_feature_encoder(V, regions=regions(), tokens=(M, F), edges="unlisted"),
         ValueError, "weight per edge"),
        (lambda: linear_encoder(V, tokens=(15, F)), ValueError, "15 tokens that are no square"),
        (lambda: linear_encoder(V, tokens=(4, F)), ValueError, "at least 3 by 3"),
        (lambda: VertexReadout(one_per_vertex(4), F, "max"), ValueError, "reduce must be one of"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (torch.randn(2, M + 1, F), ValueError, r"M = 16\. Got \[2, 17, 8\]"),
        (torch.randn(2, F, 4, 4), ValueError, "flatten"),
        (torch.randn(2, M, F + 1), ValueError, "width of the decoder, 8. Got 9"),
        ({"image": torch.randn(2, M, F)}, KeyError, "Got 'image'"),
    ],
)
def test_wrong_inputs_are_refused(inputs, error, message):
    with pytest.raises(error, match=message):
        BUILDERS["transformer"]()(inputs)


@pytest.mark.parametrize("name", list(BUILDERS))
def test_half_precision_and_double(name):
    torch.manual_seed(0)
    model, x = BUILDERS[name]().eval(), torch.randn(3, M, F)
    full = model(x).prediction
    with torch.autocast("cpu", torch.bfloat16):
        half = model(x).prediction
        half.float().sum().backward()
    torch.testing.assert_close(half.float(), full, rtol=0.1, atol=0.1)
    double = model.double()(x.double()).prediction
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), full, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", list(BUILDERS))
def test_one_sample_and_none(name):
    model = BUILDERS[name]().eval()
    x = torch.randn(3, M, F)
    torch.testing.assert_close(model(x[:1]).prediction, model(x).prediction[:1])
    assert model(x[:0]).prediction.shape == (0, V)


def test_a_long_list_of_all_pairs_is_warned_of():
    with pytest.warns(UserWarning, match="lists 6,000,000 pairs of 3,000 queries and 2000 tokens"):
        brain_encoder(
            3000, queries="vertices", tokens=(2000, 4), decoder={"heads": 1, "hidden": 4},
            position="none",
        )  # fmt: skip


def test_arguments_in_another_order_are_refused():
    with pytest.raises(TypeError, match="num_outputs must be a whole number"):
        brain_encoder(data().spec, V)
