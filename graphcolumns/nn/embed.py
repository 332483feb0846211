"""Images to input tokens: pixels, patches, overlapping or blurred receptive fields."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from graphcolumns.nn.checks import check_choice, check_counts
from graphcolumns.nn.untied import UntiedLinear


def as_pair(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels, from both or from one number for both."""
    size = tuple(image_size) if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(size) != 2 or not all(hasattr(side, "__index__") for side in size):
        raise TypeError(
            f"image_size must be a whole number of pixels, or (height, width), got {image_size!r}"
        )
    return size[0], size[1]


class PatchEmbed(nn.Module):
    r"""Cuts an image into receptive fields and maps each to a token.

    .. math::
        z_p = W_{[p]} \, \mathrm{patch}_p(G_\sigma * I) + b_{[p]}

    One class for the inputs of a sheet: *pixels* (``patch=1``), *patches* (``patch=p``),
    *overlapping patches* (``stride < patch``, ``padding``), *blurred* receptive fields (``blur``)
    and *permuted pixels* (``permutation``: a fixed shuffle, so that only learned position codes
    can tell neighbours). The blur treats the outside of the image as zero.

    Args:
        image_size: Height and width, or one number for both, in pixels.
        in_channels: Channels of the image.
        channels: ``C``, width of a token.
        patch: Side of a receptive field, in pixels.
        stride: Between receptive fields, in pixels (default: ``patch``).
        padding: Zeros around the image, in pixels.
        blur: Standard deviation of a Gaussian blur before cutting, in pixels.
        permutation: Order of the pixels, ``[Y * X]``.
        weights: ``"shared"`` (a convolution) or ``"untied"`` (a map per token).

    Shapes:
        - input: ``[B, in_channels, Y, X]``
        - output: ``[P, B, C]``, tokens in row-major order

    Raises:
        ValueError: A patch larger than the padded image, a negative blur or padding, a permutation
            that is not one, or an image of another size.
        TypeError: Images of whole numbers, or of another dtype than the weights.
    """

    # Untied maps are per token: no part of this belongs to a column of the sheet.
    own_columns = True

    blur: Tensor | None
    permutation: Tensor | None

    def __init__(
        self,
        image_size: int | tuple[int, int],
        in_channels: int,
        channels: int,
        patch: int = 1,
        stride: int | None = None,
        padding: int = 0,
        blur: float = 0.0,
        permutation: Tensor | None = None,
        weights: str = "shared",
    ) -> None:
        super().__init__()
        size = as_pair(image_size)
        stride = patch if stride is None else stride
        check_choice("weights", weights, ("shared", "untied"))
        check_counts(in_channels=in_channels, channels=channels, patch=patch, stride=stride)
        check_counts(image_size=min(size))
        if blur < 0 or padding < 0:
            raise ValueError(f"blur and padding must be at least 0, got {blur} and {padding}")
        if min(size) + 2 * padding < patch:
            raise ValueError(
                f"patch must fit the padded image, {size[0]} x {size[1]} + 2 * {padding} pixels, "
                f"got {patch}"
            )
        self.image_size, self.in_channels, self.channels = size, in_channels, channels
        self.patch, self.stride, self.padding = patch, stride, padding
        self.grid = tuple((side + 2 * padding - patch) // stride + 1 for side in size)
        self.num_tokens = self.grid[0] * self.grid[1]
        self.register_buffer("blur", _gaussian_kernel(blur), persistent=False)
        self.register_buffer("permutation", _checked(permutation, size), persistent=False)
        pixels = in_channels * patch**2
        self.linear = UntiedLinear(self.num_tokens, pixels, channels, weights=weights)

    def reset_parameters(self) -> None:
        """Draws a new map."""
        self.linear.reset_parameters()

    def forward(self, images: Tensor) -> Tensor:
        """Tokens ``[P, B, C]`` of images ``[B, in_channels, Y, X]``."""
        expected = (self.in_channels, *self.image_size)
        if not isinstance(images, Tensor):
            raise TypeError(
                f"images must be one tensor [B, {', '.join(map(str, expected))}]. Got "
                f"{', '.join(map(repr, images))} as a mapping; take a model that is called with "
                "a mapping, or data of images alone (data.encoding=none for one instruction)."
            )
        if images.dim() != 4 or tuple(images.shape[1:]) != expected:
            raise ValueError(
                f"images must be [B, {', '.join(map(str, expected))}], got {list(images.shape)}"
            )
        if not images.is_floating_point():
            raise TypeError(f"images must be floating, got {images.dtype}: call images.float()")
        if self.permutation is not None:
            images = images.flatten(2)[:, :, self.permutation].reshape(images.shape)
        if self.blur is not None:
            images = _blur(images, self.blur)
        fields = F.unfold(images, self.patch, padding=self.padding, stride=self.stride)
        return self.linear(fields.permute(2, 0, 1))

    def extra_repr(self) -> str:
        """The geometry of the receptive fields."""
        return (
            f"image_size={self.image_size}, patch={self.patch}, stride={self.stride}, "
            f"padding={self.padding}"
        )


def _checked(permutation: Tensor | None, size: tuple[int, int]) -> Tensor | None:
    if permutation is None:
        return None
    pixels = torch.arange(size[0] * size[1])
    if not torch.equal(permutation.detach().cpu().long().sort().values, pixels):
        raise ValueError(
            f"permutation must hold each of the {len(pixels)} pixel ids once, "
            f"got {list(permutation.shape)}"
        )
    return permutation.long()


def _gaussian_kernel(sigma: float) -> Tensor | None:
    if sigma == 0:
        return None
    reach = int(3 * sigma + 0.5) or 1
    x = torch.arange(-reach, reach + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    return kernel / kernel.sum()


def _blur(images: Tensor, kernel: Tensor) -> Tensor:
    """A separable Gaussian filter, zero outside the image."""
    channels, reach = images.shape[1], len(kernel) // 2
    weight = kernel.to(images.dtype).expand(channels, 1, -1)
    rows = F.conv2d(images, weight[..., None], padding=(reach, 0), groups=channels)
    return F.conv2d(rows, weight[:, :, None], padding=(0, reach), groups=channels)
