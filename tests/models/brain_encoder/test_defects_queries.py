"""Queries of all kinds, maps of all sizes: defects that encoders have had, after Adeli et al."""

from functools import partial

import pytest
import torch

from graphcolumns import train
from graphcolumns.models.brain_encoder import (
    TokenPosition,
    brain_encoder,
    cross_attention_encoder,
    linear_encoder,
    region_edges,
    spatial_feature_encoder,
)
from graphcolumns.training import evaluate
from tests.models.brain_encoder.support.small import (
    DECODER,
    F,
    M,
    V,
    data,
    encoder,
    options,
    regions,
)

QUERIES = {
    "regions": "regions",
    "streams": ["streams"],
    "visual areas": ["prf-visualrois"],
    "bodies": ["floc-bodies"],
    "faces": ["floc-faces"],
    "words": ["floc-words"],
    "two families": ["floc-faces", "floc-words"],
    "hemispheres": "hemispheres",
    "vertices": "vertices",
    "edges": region_edges(regions().of_families("streams").with_rest()),
}


@pytest.mark.parametrize("name", list(QUERIES))
def test_queries_of_every_kind_train_and_have_a_loss(name, tmp_path):
    """Every set of queries builds, runs, has the same loss function, and improves it."""
    model, samples = encoder(queries=QUERIES[name]), data()
    before = evaluate(model, samples, "train")["loss"]
    summary = train(model, samples, run=tmp_path / "run", options=options(steps=40))
    assert summary["train_loss"] < before
    out = model.eval()(samples.test_inputs)
    assert out.prediction.shape == (64, V)
    loss = samples.task.loss(out.prediction, samples.test_targets)
    torch.testing.assert_close(loss, ((out.prediction - samples.test_targets) ** 2).mean())


@pytest.mark.parametrize("name", ["streams", "faces"])
def test_vertices_outside_the_regions_are_predicted_too(name):
    """No vertex is left at 0 because its region is of another family: the rest has a query."""
    model = encoder(queries=QUERIES[name])
    assert bool((model.graphs["readout"].in_degree >= 1).all())
    named = regions().of_families(*QUERIES[name]).num_regions
    assert model.decoder.num_queries == named + 2  # the rest of each hemisphere


def test_every_variant_takes_every_kind_of_queries():
    """Read-outs and decoders are independent of each other."""
    x = torch.randn(3, M, F)
    for queries in QUERIES.values():
        known = {"regions": regions(), "tokens": (M, F), "queries": queries}
        for build in (partial(cross_attention_encoder, heads=2), spatial_feature_encoder):
            assert build(V, **known)(x).prediction.shape == (3, V)


@pytest.mark.parametrize("grid", [(1, 16), (2, 8), (4, 4), (8, 2)])
def test_a_map_may_have_any_size(grid):
    """The size of the map of tokens is an option or that of the data; it need not be a square."""
    model = encoder(grid=grid)
    assert model(torch.randn(2, M, F)).prediction.shape == (2, V)
    assert model.attention(torch.randn(2, M, F)).unflatten(-1, grid).shape[2:] == grid
    code = TokenPosition("sine", M, F, grid)().reshape(*grid, F)
    for axis, size in enumerate(grid):
        half = code.select(1 - axis, 0)[:, : F // 2] if axis == 0 else code[0, :, F // 2 :]
        assert len(half.unique(dim=0)) == size


def test_a_class_token_comes_before_the_map():
    """A token without a place has no code of one, and the others keep theirs."""
    model = encoder(tokens=(M + 1, F))
    code, without = model.position()[:, 0], TokenPosition("sine", M, F, (4, 4))()[:, 0]
    assert not code[0].any()
    assert torch.equal(code[1:], without)
    assert model(torch.randn(2, M + 1, F)).prediction.shape == (2, V)
    linear = linear_encoder(V, tokens=(M + 1, F), channels=4)
    x = torch.randn(2, M + 1, F)
    other = x.clone()
    other[:, 0] = 5
    assert torch.equal(linear(x).prediction, linear(other).prediction)


# Options.

VARIANTS = {
    "transformer": partial(brain_encoder, decoder={"heads": 2, "hidden": 16, "layers": 2}),
    "norms last": partial(
        brain_encoder, decoder={"heads": 2, "hidden": 16, "norm_first": False}, position="learned"
    ),
    "one attention": partial(cross_attention_encoder, heads=4),
    "fields": spatial_feature_encoder,
    "linear": partial(linear_encoder, channels=4),
}


@pytest.mark.parametrize("name", list(VARIANTS))
def test_every_parameter_is_used(name):
    """No layer is built and left out: all parameters get a gradient."""
    known = {} if name == "linear" else {"regions": regions()}
    torch.manual_seed(0)
    model = VARIANTS[name](V, tokens=(M, F), **known)
    model(torch.randn(8, M, F)).prediction.square().sum().backward()
    assert not [key for key, value in model.named_parameters() if value.grad is None]
    # A softmax does not change when all scores grow: the gradient of the keys' bias is 0. With
    # norms first, the first norm is that of the state 0, of which its bias is left.
    still = [key for key, value in model.named_parameters() if not value.grad.abs().max() > 1e-6]
    assert all(key.endswith(("key.bias", "layers.0.norm1.weight")) for key in still)


OPTIONS = {
    "queries": "hemispheres",
    "grid": (2, 8),
    "edges": 3,
    "position": "none",
    "reduce": "mean",
    "edge_weights": True,
    "decoder.channels": 12,
    "decoder.heads": 4,
    "decoder.hidden": 32,
    "decoder.layers": 2,
    "decoder.norm_first": False,
    "decoder.edge_bias": True,
}


@pytest.mark.parametrize("option", list(OPTIONS))
def test_no_option_is_ignored(option):
    """Every option changes the parameters or what is predicted."""
    group, _, name = option.rpartition(".")
    more = {group: DECODER | {name: OPTIONS[option]}} if group else {name: OPTIONS[option]}
    plain, other = encoder(), encoder(**more)
    x = torch.randn(4, M, F, generator=torch.Generator().manual_seed(0))
    shapes = [{k: v.shape for k, v in model.named_parameters()} for model in (plain, other)]
    same = shapes[0] == shapes[1] and torch.equal(plain(x).prediction, other(x).prediction)
    assert not same


def test_dropout_is_that_of_the_option():
    """Dropout is on in training alone, and 0 means none."""
    x = torch.randn(4, M, F)
    for rate, changes in ((0.0, False), (0.5, True)):
        model = encoder(decoder=DECODER | {"dropout": rate}).train()
        assert torch.equal(model(x).prediction, model(x).prediction) != changes
        model.eval()
        assert torch.equal(model(x).prediction, model(x).prediction)
