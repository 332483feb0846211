"""The sheet as a transformer of many layers, and as a function of sets."""

import torch
from torch import nn

from geometries import grid
from graphcolumns import connect
from graphcolumns.models.columnformer import Columnformer
from graphcolumns.models.columnformer.presets import shift_register, within_areas
from graphcolumns.nn import Column, ColumnAttention, MeanReadout, Mixture, PatchEmbed


class TestFeedforwardTransformer:
    """A recurrent sheet of four 4 x 4 layers is the feed-forward transformer of four layers."""

    def layers(self) -> nn.ModuleList:
        torch.manual_seed(1)
        block = nn.TransformerEncoderLayer
        options = {"dropout": 0.0, "activation": "gelu", "batch_first": True, "norm_first": True}
        layers = nn.ModuleList([block(24, 3, 48, **options) for _ in range(4)])
        for parameter in layers.parameters():
            nn.init.normal_(parameter, std=0.3)
        return layers

    def sheet(self, layers: nn.ModuleList) -> Columnformer:
        geometry = grid.stack([4] * 4)
        frozen = nn.functional.one_hot(geometry.areas, 4).float()
        mixture = Mixture(64, 4, frozen=frozen)
        attention = ColumnAttention(64, 24, 3, weights="mixture", rank=4, mixture=mixture)
        column = Column(64, attention, 48, "mixture", "mixture", 4, mixture)
        for number, layer in enumerate(layers):
            self.copy(column, layer, number)
        return Columnformer(
            within_areas(geometry),
            PatchEmbed(4, 1, 24),
            column,
            MeanReadout(24, 5, torch.arange(48, 64)),
            depth=4,
            direct_edges=shift_register(geometry),
        )

    @torch.no_grad()
    def copy(self, column: Column, layer: nn.TransformerEncoderLayer, number: int) -> None:
        attend, given = column.attention, layer.self_attn
        maps = attend.query, attend.key, attend.value
        weights, biases = given.in_proj_weight.chunk(3), given.in_proj_bias.chunk(3)
        for mine, weight, bias in zip(maps, weights, biases, strict=True):
            mine.weight[number], mine.bias[number] = weight.t(), bias
        pairs = [(attend.out, given.out_proj), (column.hidden, layer.linear1)]
        for mine, theirs in [*pairs, (column.out, layer.linear2)]:
            mine.weight[number], mine.bias[number] = theirs.weight.t(), theirs.bias
        for mine, theirs in ((column.norm1, layer.norm1), (column.norm2, layer.norm2)):
            mine.weight[number], mine.bias[number] = theirs.weight, theirs.bias

    def test_every_step_is_a_layer(self):
        layers = self.layers()
        model = self.sheet(layers).eval()
        images = torch.randn(3, 1, 4, 4)
        output = model(images, return_states=True)
        x = (model.embed(images) + model.position[:16]).transpose(0, 1)
        for number, layer in enumerate(layers):
            x = layer(x)
            mine = output.states[number, 16 * number : 16 * (number + 1)]
            assert torch.allclose(mine.transpose(0, 1), x, atol=1e-5)
        read = model.readout.linear(model.readout.norm(x.mean(1)))
        assert torch.allclose(output.prediction, read, atol=1e-5)


def test_permuting_patches_and_positions_permutes_the_output_only():
    graph = connect.complete(grid.sheet(4, 4))
    attention = ColumnAttention(16, 12, 3, weights="shared")
    column = Column(16, attention, 24, "shared", "shared")
    model = Columnformer(graph, PatchEmbed(4, 1, 12), column, MeanReadout(12, 5), depth=3)
    images, order = torch.randn(2, 1, 4, 4), torch.randperm(16)
    before = model(images)
    with torch.no_grad():
        model.position.copy_(model.position[order])
    after = model(images.flatten(2)[:, :, order].view_as(images))
    assert not torch.allclose(before.state, after.state, atol=1e-2)
    assert torch.allclose(before.state[order], after.state, atol=1e-5)
    assert torch.allclose(before.prediction, after.prediction, atol=1e-5)
