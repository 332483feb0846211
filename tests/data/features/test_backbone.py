import pytest
import torch
from torch import nn
from torch.nn import functional

from graphcolumns.data.features import ModuleBackbone, features_from, layer_names
from tests.data.features.support.networks import pictures, vision_transformer

IMAGES = pictures(3)


def by_hand(net, images):
    """The output of every block, and the queries, keys and values of its attention."""
    x = net.patch_embed(images).flatten(2).transpose(1, 2)
    x = torch.cat([net.cls.expand(len(x), -1, -1), x], 1)
    outputs, projections = [], []
    for block in net.blocks:
        projections.append(block.attn.qkv(block.norm(x)).split(8, dim=-1))
        x = block(x)
        outputs.append(x)
    return outputs, projections


def test_a_block_gives_its_tokens():
    net = vision_transformer()
    expected, _ = by_hand(net, IMAGES)
    found = {
        keep: ModuleBackbone(net, "blocks.1", prefix=("cls",), keep=keep)(IMAGES)
        for keep in ("patches", "all", "cls")
    }
    assert found["patches"].equal(expected[1][:, 1:])
    assert found["all"].equal(expected[1])
    assert found["cls"].equal(expected[1][:, :1])


def test_a_map_gives_its_places():
    net = vision_transformer()
    found = ModuleBackbone(net, "patch_embed", prefix=("cls",))(IMAGES)
    assert found.equal(net.patch_embed(IMAGES).flatten(2).transpose(1, 2))


@pytest.mark.parametrize("layer", ["blocks.2", "blocks.2.attn", "blocks.2.attn.qkv"])
def test_parts_of_one_projection_are_its_thirds(layer):
    net = vision_transformer()
    _, expected = by_hand(net, IMAGES)
    for place, part in enumerate(("query", "key", "value")):
        found = ModuleBackbone(net, layer, part=part, prefix=("cls",), keep="all")(IMAGES)
        assert found.equal(expected[2][place]), part


@pytest.mark.parametrize("names", [("query", "key", "value"), ("q_proj", "k_proj", "v_proj")])
def test_parts_of_separate_projections_are_their_outputs(names):
    attention = nn.ModuleDict({name: nn.Linear(3, 3) for name in names})
    attention.forward = lambda x: sum(attention[name](x) for name in names)
    net = nn.Sequential(attention)
    x = torch.rand(2, 5, 3)
    for name, part in zip(names, ("query", "key", "value"), strict=True):
        assert ModuleBackbone(net, "0", part=part)(x).equal(attention[name](x))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_parts_of_the_attention_of_torch(batch_first, grad):
    # Without gradients and in evaluation mode, torch leaves out its layers where no hook is.
    block = nn.TransformerEncoderLayer(4, 2, 8, batch_first=batch_first).eval()
    x = torch.rand(2, 5, 4)
    given = x if batch_first else x.transpose(0, 1)
    net = nn.Sequential(block)
    weights, bias = block.self_attn.in_proj_weight, block.self_attn.in_proj_bias
    with torch.set_grad_enabled(grad):
        for place, part in enumerate(("query", "key", "value")):
            rows = slice(4 * place, 4 * place + 4)
            backbone = ModuleBackbone(net, "0", part=part, batch_dim=int(not batch_first))
            # The number of images is that of the input, which is a sequence here.
            found = backbone.features(given) if batch_first else read_transposed(backbone, x)
            expected = functional.linear(x, weights[rows], bias[rows])
            torch.testing.assert_close(found["0"], expected)


def read_transposed(backbone, x):
    backbone.preprocessing = lambda images: images.transpose(0, 1)
    return backbone.features(x)


def test_attention_of_torch_with_widths_of_its_own():
    attention = nn.MultiheadAttention(4, 2, kdim=3, vdim=5, batch_first=True, bias=False)
    q, k, v = torch.rand(2, 6, 4), torch.rand(2, 7, 3), torch.rand(2, 7, 5)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(x, key=k, value=v)

    for part, given in (("query", q), ("key", k), ("value", v)):
        weight = getattr(attention, f"{part[0]}_proj_weight")
        found = ModuleBackbone(Net(), "attention", part=part)(q)
        torch.testing.assert_close(found, given @ weight.T)
    assert ModuleBackbone(Net(), "attention")(q).shape == (2, 6, 4)


def test_several_layers_are_apart_or_one_after_the_other():
    net = vision_transformer()
    backbone = ModuleBackbone(net, ["blocks.2", "blocks.0"], prefix=("cls",))
    expected, _ = by_hand(net, IMAGES)
    found = backbone.features(IMAGES)
    assert list(found) == ["blocks.2", "blocks.0"]
    assert backbone(IMAGES).equal(torch.cat([expected[2][:, 1:], expected[0][:, 1:]], 1))
    mixed = ModuleBackbone(net, ["blocks.0", "head"])
    with pytest.raises(ValueError, match=r"same width. Got blocks.0: 8, head: 5; call features"):
        mixed(IMAGES)


def test_a_frozen_module_stays_as_it_is():
    net = vision_transformer().train()
    backbone = ModuleBackbone(net, "blocks.0").train()
    assert not any(module.training for module in net.modules())
    assert not backbone(IMAGES).requires_grad
    learning = ModuleBackbone(net, "blocks.0", frozen=False).train()
    assert all(module.training for module in net.modules())
    assert learning(IMAGES).requires_grad
    assert not any(module._forward_hooks for module in net.modules())


def test_hooks_are_removed_after_an_error():
    net = vision_transformer()
    with pytest.raises(RuntimeError):
        ModuleBackbone(net, "blocks.0")(torch.rand(1, 5, 8, 8))
    assert not any(module._forward_hooks for module in net.modules())


def test_features_from_runs_in_batches_and_leaves_the_mode():
    net = vision_transformer().train()
    net.blocks[1].eval()
    modes = [module.training for module in net.modules()]
    found = features_from(net, IMAGES, "blocks.1", prefix=("cls",), batch_size=2)
    assert [module.training for module in net.modules()] == modes
    expected, _ = by_hand(net, IMAGES)
    torch.testing.assert_close(found["blocks.1"], expected[1][:, 1:].detach())
    with pytest.raises(ValueError, match=r"Got 3 images and 0"):
        features_from(net, IMAGES, "blocks.1", batch_size=0)


def test_tokens_have_the_names_of_their_places():
    backbone = ModuleBackbone(vision_transformer(), "blocks.1", prefix=("cls",), keep="all")
    assert backbone.token_names(IMAGES)["blocks.1"] == ("cls", "y0x0", "y0x1", "y1x0", "y1x1")


def test_layers_are_checked_with_the_nearest_names():
    net = vision_transformer()
    assert layer_names(net)[:3] == ("patch_embed", "blocks", "blocks.0")
    with pytest.raises(ValueError, match=r"Expected one of 'blocks.*'. Got 'blocks.11'; layer_nam"):
        ModuleBackbone(net, "blocks.11")
    with pytest.raises(ValueError, match=r"one name or several different ones. Got none"):
        ModuleBackbone(net, [])
    with pytest.raises(ValueError, match=r"different ones. Got head, head"):
        ModuleBackbone(net, ["head", "head"])


def test_parts_are_checked():
    net = vision_transformer()
    with pytest.raises(ValueError, match=r"part must be one of 'output', 'query', 'key', 'value'"):
        ModuleBackbone(net, "blocks.0", part="q")
    with pytest.raises(ValueError, match=r"Got none in 'head'; name the attention layer"):
        ModuleBackbone(net, "head", part="query")
    with pytest.raises(ValueError, match=r"Got blocks.0.attn.qkv, .* in 'blocks'; name one att"):
        ModuleBackbone(net, "blocks", part="query")


def test_layers_that_do_not_run_once_are_refused():
    shared = nn.Linear(8, 8)
    twice = nn.Sequential(nn.Linear(8, 8), shared, shared)
    with pytest.raises(ValueError, match=r"'1' must run once per forward pass. Got 2 runs"):
        ModuleBackbone(twice, "1")(torch.rand(2, 8))
    net = vision_transformer()
    net.unused = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"Got 0 runs"):
        ModuleBackbone(net, "unused")(IMAGES)


def test_outputs_that_are_no_tensor_are_refused():
    class Texts(nn.Module):
        def forward(self, x):
            return "text"

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.texts = Texts()

        def forward(self, x):
            return self.texts(x)

    with pytest.raises(TypeError, match=r"must give a floating tensor.* Got str; name another"):
        ModuleBackbone(Net(), "texts")(IMAGES)
    with pytest.raises(ValueError, match=r"must give the tokens cls and patches. Got 1 tokens"):
        ModuleBackbone(vision_transformer(), "head", prefix=("cls",))(IMAGES)
    with pytest.raises(ValueError, match=r"batch_dim must be 0 or 1. Got 2"):
        ModuleBackbone(vision_transformer(), "head", batch_dim=2)
