"""A small residual network with two streams."""

from __future__ import annotations

from collections.abc import Sequence

from graphcolumns.models.bottom_up_top_down.convolutional import (
    add_image_layer,
    convolution,
    dense_on_top,
    image_population,
)
from graphcolumns.models.bottom_up_top_down.instructed import Instruction, instructed
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.top_down import Feedback, Identity, Projection


def residual_top_down(
    num_outputs: int,
    num_instructions: int | None = None,
    *,
    image_size: int | tuple[int, int],
    in_channels: int = 1,
    channels: Sequence[int] = (16, 32),
    hidden: int = 50,
    instruction: Instruction = "gates",
    task_embedding: int | None = None,
    sweeps: int = 1,
    feedback: Feedback = "tied",
    bias: bool = True,
    top_down_bias: bool = False,
) -> BottomUpTopDown:
    r"""A stem, residual blocks of two convolutions, a dense hidden layer; without normalisation.

    .. math::
        h^{k+1} = \max\bigl(0, W_2 * \max(0, W_1 * h^k + b_1) + b_2 + S h^k\bigr)

    The way around, :math:`S`, copies, or is a 1 x 1 convolution of stride 2 where the number of
    channels changes. Populations are ``"stem"``, ``"block1_inner"``, ``"block1"``, ...,
    ``"hidden"``. The second convolution of a block starts at a tenth of its usual size: without
    normalisation the variance would double with every block.

    Args:
        num_outputs: Number of values that are predicted.
        num_instructions: Number of tasks.
        image_size: Height and width in pixels, or one number for both.
        in_channels: Channels of the images.
        channels: Channels of every block; the stem has those of the first.
        hidden: Number of neurons of the dense layer.
        instruction: Role of the instruction, see :func:`instructed`.
        task_embedding: Number of neurons between the task and the hidden layer, or None.
        sweeps: Number of times that both streams run.
        feedback: Weights of top-down passes.
        bias: Whether neurons have a bias.
        top_down_bias: Whether channels and hidden neurons have a top-down bias.

    Raises:
        ValueError: No block, sizes below 1, options that do not go together.

    Example:
        >>> from graphcolumns.models.bottom_up_top_down import residual_top_down
        >>> model = residual_top_down(10, 2, image_size=(10, 12), channels=(4, 8))
        >>> [name for name in model.network.order if "block" in name][:2]
        ['block1_inner', 'block1']

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415; He et al., Deep residual learning, CVPR 2016,
    https://arxiv.org/abs/1512.03385.
    """
    if not channels or min(channels) < 1:
        raise ValueError(f"channels must be one or more numbers, 1 or above. Got {channels!r}.")

    def trunk(prefix: str) -> Trunk:
        populations = {"image": image_population(in_channels, image_size)}
        projections: list[Projection] = []

        def add(
            source: str, target: str, ends: tuple[int, int], kernel: int, stride: int, start: float
        ) -> None:
            layer = convolution(
                ends, kernel, stride, padding=kernel // 2, bias=bias, feedback=feedback
            )
            layer.scale_draws(start)
            add_image_layer(populations, projections, source, target, layer, top_down_bias)

        source, below = f"{prefix}stem", channels[0]
        add("image", source, (in_channels, below), 3, 1, 1.0)
        for place, above in enumerate(channels, 1):
            target, inner = f"{prefix}block{place}", f"{prefix}block{place}_inner"
            stride = 1 if above == below else 2
            add(source, inner, (below, above), 3, stride, 1.0)
            add(inner, target, (above, above), 3, 1, 0.1)
            if stride == 1:
                projections.append(Projection(source, target, Identity()))
            else:
                add(source, target, (below, above), 1, stride, 1.0)
            source, below = target, above
        return dense_on_top(
            populations, projections, source, prefix, hidden, feedback, bias, top_down_bias
        )

    return instructed(
        trunk,
        num_outputs,
        num_instructions,
        instruction=instruction,
        task_embedding=task_embedding,
        sweeps=sweeps,
        feedback=feedback,
        bias=bias,
        top_down_bias=top_down_bias,
    )
