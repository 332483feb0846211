"""One-step inference: a goal is shown first, then one chooses between two directions."""

from __future__ import annotations

import torch
from torch import Tensor

from graphcolumns.data.dataset import Dataset
from graphcolumns.random.streams import generator

GOALS = ("up left", "up right", "down left", "down right")
DIRECTIONS = ("left", "up", "right", "down")
# Every problem: the goal, and the two directions that are offered, the one towards it first.
PROBLEMS = (
    ("up left", "up", "right"),
    ("up left", "left", "right"),
    ("up right", "up", "left"),
    ("up right", "right", "down"),
    ("down left", "left", "up"),
    ("down left", "down", "right"),
    ("down right", "right", "left"),
    ("down right", "down", "left"),
)


def one_step_inference(
    goal_steps: int = 20,
    delay_steps: int = 10,
    offer_steps: int = 20,
    noise: float = 0.05,
    train_count: int = 5120,
    test_count: int = 2560,
    seed: int = 0,
) -> Dataset:
    r"""Sequences of a goal, a delay and two offered directions: which one leads to the goal?

    The goal lies up or down and left or right of the start. It is shown for ``goal_steps``, then
    nothing for ``delay_steps``, then two of the four directions for ``offer_steps``, of which just
    one brings nearer to the goal. Eight problems, ``PROBLEMS``, are drawn with equal probability.

    **Without its goal a sequence has 5/8 at most.** Right and up are offered for one goal only,
    as are left and down; each of the three other pairs for two, with different answers. So the
    best answer is right with probability :math:`\tfrac14 + \tfrac34 \cdot \tfrac12`.

    Args:
        goal_steps: Steps for which the goal is shown, 1 or more.
        delay_steps: Steps for which nothing is shown, 0 or more.
        offer_steps: Steps for which the two directions are shown, 1 or more.
        noise: Standard deviation of the Gaussian noise on all values, drawn once per sequence.
        train_count: Sequences to train on.
        test_count: Sequences to score.
        seed: Seed of problems and noise.

    Returns:
        Inputs ``[n, T, 8]`` of ``T = goal_steps + delay_steps + offer_steps`` steps, with a value
        per goal (``GOALS``) and one per direction (``DIRECTIONS``), 1 while it is shown; targets
        ``[n]`` int64, the direction.

    Raises:
        ValueError: A number out of range.

    Source: the task of Achterberg et al., Spatially embedded recurrent neural networks, Nature
    Machine Intelligence 2023, https://doi.org/10.1038/s42256-023-00748-9, as in the demonstration
    beside it. There noise is drawn anew at every pass, and not in the test.
    """
    _check(goal_steps, delay_steps, offer_steps, noise)
    shown, answers = problems(goal_steps, delay_steps, offer_steps)

    def half(name: str, count: int) -> tuple[Tensor, Tensor]:
        draws = generator(seed, f"one-step inference, {name}")
        drawn = torch.randint(len(PROBLEMS), (count,), generator=draws)
        inputs = shown[drawn]
        return inputs + noise * torch.randn(inputs.shape, generator=draws), answers[drawn]

    return Dataset(
        *half("train", train_count),
        *half("test", test_count),
        num_classes=len(DIRECTIONS),
        classes=DIRECTIONS,
    )


def problems(goal_steps: int, delay_steps: int, offer_steps: int) -> tuple[Tensor, Tensor]:
    """Every problem without noise: inputs ``[8, T, 8]`` and the answers ``[8]`` int64.

    Args:
        goal_steps: Steps for which the goal is shown.
        delay_steps: Steps for which nothing is shown.
        offer_steps: Steps for which the two directions are shown.
    """
    goals, offers = torch.zeros(len(PROBLEMS), 4), torch.zeros(len(PROBLEMS), 4)
    for row, (goal, *offered) in enumerate(PROBLEMS):
        goals[row, GOALS.index(goal)] = 1
        offers[row, [DIRECTIONS.index(way) for way in offered]] = 1
    inputs = torch.zeros(len(PROBLEMS), goal_steps + delay_steps + offer_steps, 8)
    inputs[:, :goal_steps, :4] = goals[:, None]
    inputs[:, goal_steps + delay_steps :, 4:] = offers[:, None]
    return inputs, torch.tensor([DIRECTIONS.index(right) for _, right, _ in PROBLEMS])


def _check(goal_steps: int, delay_steps: int, offer_steps: int, noise: float) -> None:
    if goal_steps < 1 or offer_steps < 1 or delay_steps < 0:
        raise ValueError(
            "goal_steps and offer_steps must be 1 or more, delay_steps 0 or more. Got "
            f"{goal_steps=}, {offer_steps=} and {delay_steps=}."
        )
    if not 0 <= noise < float("inf"):
        raise ValueError(f"noise must be 0 or more, and finite. Got {noise}.")
