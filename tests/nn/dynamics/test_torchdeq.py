"""Fixed points and implicit gradients against TorchDEQ."""

import pytest
import torch
from torchdeq import get_deq

from graphcolumns.nn.dynamics import Anderson, Implicit, solve
from tests.nn.dynamics.circuits import Tanh, tanh_weight

INPUTS = torch.randn(8, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def leaves():
    return tanh_weight(32).requires_grad_(), INPUTS.clone().requires_grad_()


def objective(output):
    return (output.sin() * torch.arange(32)).sum()


@pytest.mark.parametrize("solver", ["fixed_point_iter", "anderson", "broyden"])
def test_the_same_fixed_point_and_gradients(solver):
    weight, inputs = leaves()
    ours = solve(
        Tanh(weight), inputs, tolerance=1e-13, method=Anderson(), gradient=Implicit(1e-13)
    ).output
    objective(ours).backward()

    theirs_weight, theirs_inputs = leaves()
    deq = get_deq(
        f_solver=solver, b_solver=solver, f_tol=1e-14, b_tol=1e-14, f_max_iter=300,
        b_max_iter=300, ift=True,
    )  # fmt: skip
    outputs, _ = deq(
        lambda z: torch.tanh(z @ theirs_weight.T + theirs_inputs), torch.zeros_like(INPUTS)
    )
    objective(outputs[-1]).backward()
    torch.testing.assert_close(ours, outputs[-1], rtol=0, atol=1e-12)
    torch.testing.assert_close(weight.grad, theirs_weight.grad, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(inputs.grad, theirs_inputs.grad, rtol=1e-10, atol=1e-10)
