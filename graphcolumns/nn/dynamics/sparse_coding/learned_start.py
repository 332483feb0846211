"""A start that is learned: a small network that predicts the state at the fixed point."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from graphcolumns.nn.checks import check_counts
from graphcolumns.nn.dynamics.core.circuit import Circuit, Drive
from graphcolumns.nn.dynamics.core.solve import solve
from graphcolumns.nn.dynamics.core.states import flatten_samples, unflatten_samples


class LearnedStart(nn.Module):
    r"""A primed start for ``solve(start=...)``: the state, predicted from the drive.

    A network with one hidden layer. It makes no fixed point inexact: the circuit still runs to its
    tolerance, from nearer by.

    Args:
        size: Numbers in the state of a sample.
        hidden: Width of the hidden layer.
        batch_dim: Dimension of samples, that of the circuit.
        seed: Seed of the first weights.
        dtype: Data type of the weights, that of the states.

    Shapes:
        - inputs: any; the first of ``drive.samples`` is read, which has the shape of the state
        - output: the shape of the state

    Raises:
        ValueError: A size below 1.

    Source: Kasenbacher, Ehret, Ecke & Otte, WARP-LCA: efficient convolutional sparse coding with
    locally competitive algorithm, 2024, https://arxiv.org/abs/2410.18794.
    """

    def __init__(
        self,
        size: int,
        hidden: int = 256,
        *,
        batch_dim: int = 0,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        check_counts(size=size, hidden=hidden)
        self.batch_dim = batch_dim
        generator = torch.Generator().manual_seed(seed)
        self.layers = nn.Sequential(
            _linear(size, hidden, dtype, generator),
            nn.ReLU(),
            _linear(hidden, size, dtype, generator),
        )

    def forward(self, inputs: Any, drive: Drive) -> Tensor:
        """The predicted state."""
        like = drive.samples[0]
        # Correlations are what the state would be without inhibition.
        rows = flatten_samples(like, self.batch_dim)
        state = unflatten_samples(rows + self.layers(rows), like, self.batch_dim)
        assert isinstance(state, Tensor)
        return state


def _linear(size: int, out: int, dtype: torch.dtype, generator: torch.Generator) -> nn.Linear:
    """A linear layer with the usual first weights, drawn without the global generators."""
    layer = nn.utils.skip_init(nn.Linear, size, out, dtype=dtype, device="cpu")
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-(size**-0.5), size**-0.5, generator=generator)
    return layer


def fit_start(
    circuit: Circuit,
    inputs: Any,
    *,
    hidden: int = 256,
    steps: int = 500,
    batch: int = 64,
    rate: float = 1e-3,
    seed: int = 0,
    **options: Any,
) -> LearnedStart:
    """Learns a start for a circuit: its states on some inputs, by least squares.

    Args:
        circuit: The circuit, with a state of one tensor.
        inputs: Inputs like those that will come.
        hidden: Width of the hidden layer.
        steps: Optimizer steps (Adam).
        batch: Samples per step.
        rate: Learning rate.
        seed: Seed of the first weights and of the samples of each step.
        options: Options of ``solve``, with which the states are computed.

    Returns:
        The network, on the device of the states.

    Raises:
        ValueError: Fewer than one step or sample.

    Example:
        >>> import torch
        >>> from graphcolumns.nn.dynamics import LCA, fit_start, solve
        >>> circuit, inputs = LCA(torch.eye(2), threshold=0.5), torch.randn(8, 2)
        >>> start = fit_start(circuit, inputs, hidden=8, steps=10)
        >>> solve(circuit, torch.tensor([[2.0, 0.1]]), start=start).converged
        tensor([True])
    """
    check_counts(steps=steps, batch=batch)
    dim = circuit.batch_dim
    with torch.no_grad():
        solution = solve(circuit, inputs, **options)
        targets = flatten_samples(solution.state, dim)
        seen = flatten_samples(solution.drive.samples[0], dim)
    model = LearnedStart(
        targets.shape[1], hidden, batch_dim=dim, seed=seed, dtype=targets.dtype
    ).to(targets.device)
    _fit(model.layers, seen, targets - seen, steps, batch, rate, seed)
    return model.requires_grad_(False)


@torch.enable_grad()
def _fit(
    layers: nn.Module, x: Tensor, y: Tensor, steps: int, batch: int, rate: float, seed: int
) -> None:
    optimizer = torch.optim.Adam(layers.parameters(), rate)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=generator).to(x.device)
        optimizer.zero_grad()
        mse_loss(layers(x[chosen]), y[chosen]).backward()
        optimizer.step()
