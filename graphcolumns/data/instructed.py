"""Classification under an instruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from graphcolumns.data.check_targets import check_instruction, check_names, input_named
from graphcolumns.data.tasks import Classification
from graphcolumns.nn.batches import Inputs


@dataclass(frozen=True, eq=False, repr=False)
class InstructedClassification(Classification):
    """Classification under an instruction, which is an input: which question is put about an image?

    The accuracy is given over all samples and for every instruction, ``accuracy_NAME``.

    Args:
        instructions: Names of the instructions.
        key: Name of the input that holds the instruction of every sample: ids ``[B]`` int64, or
            one value per instruction ``[B, len(instructions)]`` whose largest one marks it
            (one-hot).
        arguments: Number of values that stand behind those of the instructions and say what they
            are about, such as the digit in "left of 3"; 0 for ids.
    """

    instructions: tuple[str, ...] = ()
    key: str = "instruction"
    arguments: int = 0

    name = "instructed_classification"

    def __post_init__(self) -> None:
        check_names("instructions", self.instructions)
        object.__setattr__(self, "groups", tuple(self.instructions))

    @property
    def num_instructions(self) -> int:
        """The number of ids, or of values per instruction with its argument."""
        return len(self.instructions) + self.arguments

    def group_of(self, inputs: Inputs) -> Tensor | None:
        """The instruction of every sample, ``[B]`` int64."""
        given = input_named(self.key, inputs)
        return given if given.ndim == 1 else given[:, : len(self.instructions)].argmax(1)

    def check(self, name: str, targets: Tensor, inputs: Inputs, num_outputs: int) -> None:
        """Raise unless these are targets of these inputs, see ``Task.check``."""
        super().check(name, targets, inputs, num_outputs)
        given = input_named(self.key, inputs)
        check_instruction(self.key, given, len(self.instructions), self.arguments)

    def described(self) -> Any:
        """What tells this task from another one, see ``Task.described``."""
        about = {"instructions": list(self.instructions), "key": self.key}
        return about | ({"arguments": self.arguments} if self.arguments else {})
