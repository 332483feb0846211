"""The instructions of a data set, and the samples that they make of images and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from graphcolumns.data.choose_questions import choose_questions
from graphcolumns.data.dataset import Batch
from graphcolumns.data.instructed import InstructedClassification
from graphcolumns.data.task import Task
from graphcolumns.data.tasks import TASKS
from graphcolumns.geometry.checks import check_choice

Encoding: TypeAlias = Literal["ids", "one_hot", "none"]
PerImage: TypeAlias = Literal["one", "every"]


@dataclass(frozen=True)
class Questions:
    """The instructions that can be given with images: their names, and how a model gets them.

    Args:
        parts: Names that an instruction is made of, such as ``("left", "right")``, or two tuples
            of them, such as ``("left_of", "right_of")`` and ten digits, for all combinations
            ``left_of_0``, ``left_of_1``, ...
        kept: Names of the instructions to keep (default: all).
        encoding: ``"ids"``: places in ``kept``. ``"one_hot"``: one value per name of every part, or
            per kept instruction if there is one part. ``"none"``: the images alone.

    Raises:
        ValueError: An unknown encoding or instruction, or several without an encoding.
    """

    parts: tuple[tuple[str, ...], ...]
    kept: Sequence[str] | None = None
    encoding: Encoding = "ids"

    def __post_init__(self) -> None:
        check_choice("encoding", self.encoding, get_args(Encoding))
        kept = self.names if self.kept is None else tuple(self.kept)
        object.__setattr__(self, "kept", kept)
        if not kept or not set(kept) <= set(self.names) or len(set(kept)) < len(kept):
            raise ValueError(
                f"instructions must be different names out of {', '.join(self.names)}. Got {kept}."
            )
        if self.encoding == "none" and len(kept) > 1:
            raise ValueError(
                "images without an instruction have one answer: encoding='none' needs one of the "
                f"instructions. Got {', '.join(kept)}; pass instructions=('{kept[0]}',)."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All instructions; their places are the ids that ``samples`` takes."""
        return tuple("_".join(parts) for parts in product(*self.parts))

    @property
    def task(self) -> Task:
        """The task of classification under these instructions."""
        assert self.kept is not None
        if self.encoding == "none":
            return TASKS["classification"]
        if self.encoding == "one_hot" and len(self.parts) == 2:
            return InstructedClassification(self.parts[0], arguments=len(self.parts[1]))
        return InstructedClassification(tuple(self.kept))

    def samples(
        self, images: Tensor, ids: Tensor, answers: Tensor, every: bool, order: torch.Generator
    ) -> Batch:
        """Images with the kept instructions.

        Args:
            images: Images ``[n, channels, Y, X]``.
            ids: Places in ``names`` of the instructions that an image has an answer to, ``[n, Q]``
                int64.
            answers: Their answers, ``[n, Q]`` int64.
            every: Whether an image comes with all of its kept instructions, or with a random one.
            order: Source of which one it is.
        """
        image, question = choose_questions(self._places[ids] >= 0, every, order)
        given, targets = ids[image, question], answers[image, question]
        coded = self.coded(given)
        if coded is None:
            return Batch(images[image], targets)
        return Batch({"image": images[image], "instruction": coded}, targets)

    def coded(self, ids: Tensor) -> Tensor | None:
        """What a model gets: ids ``[m]`` int64, values ``[m, V]`` float32, or None.

        Args:
            ids: Places in ``names`` of instructions that are kept, ``[m]`` int64.
        """
        if self.encoding == "none":
            return None
        return self._places[ids] if self.encoding == "ids" else self._codes[ids]

    @property
    def _places(self) -> Tensor:
        """The place of every instruction among those that are kept, or -1."""
        assert self.kept is not None
        kept = list(self.kept)
        return torch.tensor([kept.index(name) if name in kept else -1 for name in self.names])

    @property
    def _codes(self) -> Tensor:
        """Every instruction as one value per name, ``[I, V]``."""
        if len(self.parts) == 1:
            return one_hot(self._places.clamp(min=0), int(self._places.max()) + 1).float()
        numbers = torch.cartesian_prod(*(torch.arange(len(part)) for part in self.parts))
        coded = [one_hot(numbers[:, i], len(part)) for i, part in enumerate(self.parts)]
        return torch.cat(coded, 1).float()
