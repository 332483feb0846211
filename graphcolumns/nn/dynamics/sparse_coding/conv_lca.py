"""The locally competitive algorithm with a dictionary that is shifted over the input."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torch import Tensor
from torch.nn import functional as F

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Drive
from graphcolumns.nn.dynamics.core.states import State
from graphcolumns.nn.dynamics.sparse_coding.checks import (
    check_atoms,
    check_signals,
    check_threshold,
)
from graphcolumns.nn.dynamics.sparse_coding.sparse_circuit import SparseCircuit, half_energy


@dataclass(frozen=True, eq=False)
class ConvLCA(SparseCircuit):
    r"""Convolutional sparse codes in one or two dimensions, by lateral inhibition.

    It equals :class:`LCA` with every atom at every position, a stride apart, as the dictionary.
    Inputs are padded with zeros once, and atoms are whole everywhere, so that they have unit norm
    at the border, too.

    Inhibition is either one convolution of the codes with a lateral kernel, which is computed once,
    or a synthesis of the input followed by its analysis, which never forms the kernel. Both are
    equal; by default the one with fewer multiplications per code is taken.

    Args:
        dictionary: Atoms of unit norm, ``[n, channels, k]`` or ``[n, channels, k1, k2]``.
        threshold: Threshold :math:`\lambda`, above 0, in units of the input.
        hard: Whether the threshold is hard, see :class:`LCA`.
        nonnegative: Whether codes are non-negative.
        stride: Distance between positions of atoms, in samples or pixels.
        padding: Zeros at each end of the input.
        lateral_kernel: Whether inhibition is one convolution (default: whichever is cheaper).

    Shapes:
        - inputs: ``[B, channels, L]`` or ``[B, channels, H, W]``
        - state, output: ``[B, n, L']`` or ``[B, n, H', W']``, with
          ``L' = (L + 2 padding - k) // stride + 1``

    Raises:
        ValueError: As :class:`LCA`; a stride below 1, a negative padding, or inputs smaller than
            atoms.
        TypeError: As :class:`LCA`.

    Source: Rozell et al. as in :class:`LCA`; Schultz, Paiton, Lu & Kenyon, Replicating kernels with
    a short stride allows sparse reconstructions with fewer independent kernels, 2014,
    https://arxiv.org/abs/1406.4205.
    """

    dictionary: Tensor
    threshold: float
    hard: bool = False
    nonnegative: bool = False
    stride: int = 1
    padding: int = 0
    lateral_kernel: bool | None = None

    def __post_init__(self) -> None:
        check_atoms(self.dictionary, "[n, channels, k] or [n, channels, k1, k2]", (3, 4))
        check_threshold(self.threshold)
        check_counts(stride=self.stride)
        if self.padding < 0:
            raise ValueError(f"padding must be 0 or more. Got {self.padding!r}.")

    @property
    def _two_dimensional(self) -> bool:
        return self.dictionary.dim() == 4

    @property
    def _reach(self) -> tuple[int, ...]:
        """Positions on each side at which two atoms still overlap."""
        return tuple((size - 1) // self.stride for size in self.dictionary.shape[2:])

    def _uses_kernel(self) -> bool:
        if self.lateral_kernel is not None:
            return self.lateral_kernel
        atoms, *size = self.dictionary.shape
        return atoms * prod(2 * reach + 1 for reach in self._reach) < 2 * prod(size)

    def drive(self, inputs: Tensor) -> Drive:
        """Correlations of inputs and atoms, half the energies of the inputs; what inhibits."""
        sizes = self.dictionary.shape
        check_signals(inputs, self._expected(), self.dictionary, self._fits(inputs))
        padded = F.pad(inputs, (self.padding, self.padding) * (len(sizes) - 2))
        lateral = self._kernel() if self._uses_kernel() else self.dictionary
        return Drive((self._analyse(padded, self.dictionary), half_energy(inputs, 0)), (lateral,))

    def _expected(self) -> str:
        _, channels, *size = self.dictionary.shape
        least = " x ".join(str(max(1, k - 2 * self.padding)) for k in size)
        names = "H, W" if self._two_dimensional else "L"
        return f"[B, {channels}, {names}], at least {least} as atoms are {size}"

    def _fits(self, inputs: Tensor) -> bool:
        sizes = self.dictionary.shape
        return (
            inputs.dim() == len(sizes)
            and inputs.shape[1] == sizes[1]
            and all(
                have + 2 * self.padding >= k
                for have, k in zip(inputs.shape[2:], sizes[2:], strict=True)
            )
        )

    def _analyse(self, signal: Tensor, atoms: Tensor) -> Tensor:
        convolve = F.conv2d if self._two_dimensional else F.conv1d
        return convolve(signal, atoms, stride=self.stride)

    def _synthesise(self, codes: Tensor, atoms: Tensor) -> Tensor:
        convolve = F.conv_transpose2d if self._two_dimensional else F.conv_transpose1d
        return convolve(codes, atoms, stride=self.stride)

    def _kernel(self) -> Tensor:
        """Gram matrix of atoms over their relative positions, ``[n, n, 2 reach + 1, ...]``."""
        pad = [side for reach in reversed(self._reach) for side in 2 * (reach * self.stride,)]
        padded = F.pad(self.dictionary, pad)
        # Atoms as inputs: entry [j, i, d] is the overlap of j with i placed d - reach further on.
        overlap = self._analyse(padded, self.dictionary)
        return overlap.transpose(0, 1).flip(list(range(2, overlap.dim())))

    def gram_product(self, codes: Tensor, drive: Drive) -> Tensor:
        """Inhibition of every unit by all that overlap, itself included."""
        if not self._uses_kernel():
            return self._analyse(self._synthesise(codes, drive.shared[0]), drive.shared[0])
        convolve = F.conv2d if self._two_dimensional else F.conv1d
        return convolve(codes, drive.shared[0], padding=self._reach)

    def reconstruct(self, state: State, drive: Drive, size: tuple[int, ...]) -> Tensor:
        """The input that codes stand for, ``[B, channels, ...]``, without the padding.

        Args:
            state: State of the circuit.
            drive: Drive of the inputs.
            size: Extent of the inputs, ``(L,)`` or ``(H, W)``.
        """
        whole = self._synthesise(self.output(state, drive), self.dictionary)
        # Samples that no atom reaches, at the far end, are 0.
        sides = [
            (-self.padding, extent + self.padding - have)
            for extent, have in zip(size, whole.shape[2:], strict=True)
        ]
        return F.pad(whole, [side for pair in reversed(sides) for side in pair])
