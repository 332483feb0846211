import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from graphcolumns.nn import PatchEmbed


def convolution(embed, **arguments):
    """A Conv2d with the weights of an embedding with a shared map."""
    conv = nn.Conv2d(
        embed.in_channels, embed.channels, embed.patch, embed.stride, embed.padding, **arguments
    )
    shape = (embed.in_channels, embed.patch, embed.patch, embed.channels)
    conv.weight.data = embed.linear.weight.view(shape).permute(3, 0, 1, 2)
    conv.bias.data = nn.init.normal_(embed.linear.bias)
    return conv


def tokens(images):
    return images.flatten(2).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("size", "patch", "stride", "padding", "grid"),
    [
        (8, 1, None, 0, (8, 8)),  # pixels
        (8, 2, None, 0, (4, 4)),  # patches
        ((6, 9), 3, None, 0, (2, 3)),
        ((6, 9), 3, 1, 1, (6, 9)),  # overlapping
        (8, 4, 2, 1, (4, 4)),
        (7, 2, None, 0, (3, 3)),  # the last row and column fit no patch
    ],
)
def test_equals_conv2d(size, patch, stride, padding, grid):
    embed = PatchEmbed(size, 2, 5, patch, stride, padding)
    images = torch.randn(3, 2, *embed.image_size)
    conv, out = convolution(embed), embed(images)
    assert embed.grid == grid
    assert out.shape == (embed.num_tokens, 3, 5) == (grid[0] * grid[1], 3, 5)
    torch.testing.assert_close(out, tokens(conv(images)), atol=1e-5, rtol=1e-5)


def test_untied_patches_by_hand():
    embed = PatchEmbed((2, 4), 1, 1, patch=2, weights="untied")
    embed.linear.weight.data = torch.tensor([[1.0, 2, 3, 4], [1, 0, 0, 0]])[:, :, None]
    nn.init.zeros_(embed.linear.bias)
    image = torch.arange(8.0).view(1, 1, 2, 4)
    assert embed(image).flatten().tolist() == [0 + 2 * 1 + 3 * 4 + 4 * 5, 2.0]


def test_blur_equals_an_explicit_gaussian():
    embed = PatchEmbed((9, 7), 2, 5, patch=3, stride=2, blur=0.8)
    images = torch.randn(3, 2, 9, 7)
    kernel = torch.tensor(
        [[math.exp(-(y * y + x * x) / (2 * 0.8**2)) for x in range(-2, 3)] for y in range(-2, 3)]
    )
    kernel = (kernel / kernel.sum()).expand(2, 1, 5, 5)
    blurred = F.conv2d(images, kernel, padding=2, groups=2)
    conv = convolution(embed)
    torch.testing.assert_close(embed(images), tokens(conv(blurred)), atol=1e-5, rtol=1e-5)


def test_blur_is_even():
    embed = PatchEmbed(15, 1, 1, blur=1.5)
    nn.init.ones_(embed.linear.weight)
    image = torch.zeros(1, 1, 15, 15)
    image[0, 0, 7, 7] = 1.0
    out = embed(image).view(15, 15)
    assert out.sum().item() == pytest.approx(1.0, rel=1e-5)
    for other in (out.t(), out.flip(0), out.flip(1)):
        torch.testing.assert_close(out, other)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_permutation(memory_format):
    permutation = torch.randperm(24)
    embed = PatchEmbed((4, 6), 2, 3, patch=2, permutation=permutation.int())
    images = torch.randn(5, 2, 4, 6).contiguous(memory_format=memory_format)
    shuffled = torch.stack([image.reshape(2, 24)[:, permutation].view(2, 4, 6) for image in images])
    plain = copy.deepcopy(embed)
    plain.permutation = None
    torch.testing.assert_close(embed(images), plain(shuffled))
    assert not torch.allclose(embed(images), plain(images))


@pytest.mark.parametrize("weights", ["shared", "untied"])
def test_parameters_and_gradients(weights):
    embed = PatchEmbed(4, 3, 5, patch=2, weights=weights)
    sets = 4 if weights == "untied" else 1
    assert sum(p.numel() for p in embed.parameters()) == sets * (12 * 5 + 5)
    assert list(embed.state_dict()) == ["linear.weight", "linear.bias"]
    embed(torch.randn(2, 3, 4, 4)).sin().sum().backward()
    assert all(p.grad.abs().min() > 0 for p in embed.parameters())
    torch.manual_seed(5)
    embed.reset_parameters()
    drawn = embed.linear.weight.clone()
    torch.manual_seed(5)
    embed.reset_parameters()
    assert torch.equal(embed.linear.weight, drawn)


def test_errors():
    embed = PatchEmbed((4, 6), 2, 3)
    for match, call in [
        (r"4 x 4 \+ 2 \* 1 pixels, got 7", lambda: _embed(patch=7, padding=1)),
        ("stride must be at least 1, got 0", lambda: _embed(stride=0)),
        ("image_size must be at least 1, got 0", lambda: PatchEmbed((4, 0), 1, 1)),
        ("channels must be at least 1, got 0", lambda: PatchEmbed(4, 1, 0)),
        ("blur and padding must be at least 0, got -1.0 and 0", lambda: _embed(blur=-1.0)),
        ("blur and padding must be at least 0, got 0.0 and -1", lambda: _embed(padding=-1)),
        ("weights must be one of .* Got 'lowrank'", lambda: _embed(weights="lowrank")),
        ("each of the 16 pixel ids once", lambda: _embed(permutation=torch.zeros(16))),
        (r"once, got \[15\]", lambda: _embed(permutation=torch.arange(15))),
        (r"must be \[B, 2, 4, 6\], got \[5, 2, 6, 4\]", lambda: embed(torch.randn(5, 2, 6, 4))),
        (r"must be \[B, 2, 4, 6\], got \[2, 4, 6\]", lambda: embed(torch.randn(2, 4, 6))),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=match):
            call()


def _embed(**arguments):
    return PatchEmbed(4, 1, 2, **arguments)
