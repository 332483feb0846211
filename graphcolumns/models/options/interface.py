"""What columns see of an image, and how the answer is read from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from graphcolumns.nn.checks import check_choice, check_counts, check_int64_ids


@dataclass(frozen=True, kw_only=True)
class InterfaceOptions:
    """What a sheet sees and how it is read. A frozen value that checks itself.

    Args:
        patch: Side of a receptive field, in pixels.
        stride: Distance between receptive fields, in pixels (default: ``patch``).
        padding: Width of the zeros around the image, in pixels.
        blur: Standard deviation of a Gaussian blur of the input, in pixels.
        embed_weights: ``"shared"`` or ``"untied"`` map from receptive field to token.
        inputs: ``"topographic"``: every column sees the token at its own place, see
            :func:`topographic_tokens`; ``"first_sheet"``: only the first P columns see, column n
            token n.
        drive: The input enters the ``"initial"`` state only, or at ``"every_step"``.
        outputs: Columns that are read: ``"all"``, or ``"last_sheet"`` (the last P columns).
        readout: ``"mean"``, ``"spatial"`` (a map per class), or ``"columns"``: each column that is
            read gives one answer of its own, in the user's order, so that there are ``K`` of them.
        readout_weights: ``"shared"`` or ``"untied"`` weights of the readout ``"columns"``.
        position_embedding: Whether to learn a code per column.
        time_embedding: Whether to learn a code per step.
        receptive: Token that each column sees, ``[N]`` int64 or a list, -1 for none, in place of
            ``inputs``; it may leave tokens unseen, so that there may be more of them than columns.
            In the user's order, which with a ``permutation`` is not that of the geometry. Kept as
            a tuple.

    Raises:
        ValueError: An unknown choice, or a number out of its range.
        TypeError: A size that is not a whole number, or ``receptive`` that is not int64.
    """

    patch: int = 1
    stride: int | None = None
    padding: int = 0
    blur: float = 0.0
    embed_weights: str = "shared"
    inputs: str = "topographic"
    drive: str = "every_step"
    outputs: str = "all"
    readout: str = "mean"
    readout_weights: str = "shared"
    position_embedding: bool = True
    time_embedding: bool = False
    receptive: Tensor | Sequence[int] | None = None

    def __post_init__(self) -> None:
        check_choice("inputs", self.inputs, ("topographic", "first_sheet"))
        check_choice("drive", self.drive, ("initial", "every_step"))
        check_choice("outputs", self.outputs, ("all", "last_sheet"))
        check_choice("readout", self.readout, ("mean", "spatial", "columns"))
        for name in ("embed_weights", "readout_weights"):
            check_choice(name, getattr(self, name), ("shared", "untied"))
        check_counts(patch=self.patch, stride=self.patch if self.stride is None else self.stride)
        if self.blur < 0 or self.padding < 0:
            raise ValueError(
                f"blur and padding must be at least 0, got {self.blur} and {self.padding}"
            )
        if self.receptive is not None:
            object.__setattr__(self, "receptive", _as_tuple(self.receptive))


def _as_tuple(receptive: Tensor | Sequence[int]) -> tuple[int, ...]:
    """Ids that cannot be changed, and that can be compared."""
    if isinstance(receptive, Tensor):
        check_int64_ids("receptive", receptive)
        receptive = receptive.tolist()
    return tuple(receptive)
