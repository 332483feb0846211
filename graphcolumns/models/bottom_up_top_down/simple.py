"""The convolutional network of the source."""

from __future__ import annotations

from graphcolumns.models.bottom_up_top_down.convolutional import (
    add_image_layer,
    convolution,
    dense_on_top,
    image_population,
)
from graphcolumns.models.bottom_up_top_down.instructed import Instruction, instructed
from graphcolumns.models.bottom_up_top_down.model import BottomUpTopDown
from graphcolumns.models.bottom_up_top_down.trunk import Trunk
from graphcolumns.nn.top_down import Feedback, Projection


def simple_net(
    num_outputs: int,
    num_instructions: int | None = None,
    *,
    image_size: int | tuple[int, int],
    in_channels: int = 1,
    channels: int = 32,
    hidden: int = 50,
    instruction: Instruction = "gates",
    task_embedding: int | None = 50,
    sweeps: int = 1,
    feedback: Feedback = "tied",
    bias: bool = True,
    top_down_bias: bool = False,
) -> BottomUpTopDown:
    """The small convolutional network of the source, for Multi-MNIST and CelebA.

    A 5 x 5 convolution, a depth-wise 2 x 2 one of stride 2, a 5 x 5 one, a depth-wise 3 x 3 one of
    stride 2, without padding, and a dense hidden layer: ``"conv1"``, ``"down1"``, ``"conv2"``,
    ``"down2"``, ``"hidden"``. On 28 x 28 pixels with two tasks and ten outputs it has 44 504
    parameters; the source counts 44 556, because there the layers above the hidden one that lead to
    the task have 52 biases, which no pass uses.

    Args:
        num_outputs: Number of values that are predicted.
        num_instructions: Number of tasks.
        image_size: Height and width in pixels, or one number for both; 18 or more.
        in_channels: Channels of the images.
        channels: Channels of both convolutions.
        hidden: Number of neurons of the dense layer.
        instruction: Role of the instruction, see :func:`instructed`.
        task_embedding: Number of neurons between the task and the hidden layer, or None;
            without gates there are none.
        sweeps: Number of times that both streams run.
        feedback: Weights of top-down passes.
        bias: Whether neurons have a bias.
        top_down_bias: Whether channels and hidden neurons have a top-down bias.

    Raises:
        ValueError: Images that are too small, options that do not go together.

    Example:
        >>> from graphcolumns.models.bottom_up_top_down import simple_net
        >>> model = simple_net(10, 2, image_size=28)
        >>> sum(p.numel() for p in model.parameters())
        44504

    Source: Abel & Ullman, Biologically-Motivated Learning Model for Instructed Visual Processing,
    2023, https://arxiv.org/abs/2306.02415.
    """

    def trunk(prefix: str) -> Trunk:
        populations = {"image": image_population(in_channels, image_size)}
        projections: list[Projection] = []
        source = "image"
        # Name, channels below and above, kernel, stride, depth-wise.
        for name, ends, kernel, stride, depthwise in (
            ("conv1", (in_channels, channels), 5, 1, False),
            ("down1", (channels, channels), 2, 2, True),
            ("conv2", (channels, channels), 5, 1, False),
            ("down2", (channels, channels), 3, 2, True),
        ):
            layer = convolution(
                ends, kernel, stride, depthwise=depthwise, bias=bias, feedback=feedback
            )
            target = prefix + name
            add_image_layer(populations, projections, source, target, layer, top_down_bias)
            source = target
        return dense_on_top(
            populations, projections, source, prefix, hidden, feedback, bias, top_down_bias
        )

    gated = instruction in ("gates", "gates_and_heads")
    return instructed(
        trunk,
        num_outputs,
        num_instructions,
        instruction=instruction,
        task_embedding=task_embedding if gated else None,
        sweeps=sweeps,
        feedback=feedback,
        bias=bias,
        top_down_bias=top_down_bias,
    )
