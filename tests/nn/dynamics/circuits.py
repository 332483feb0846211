"""Small circuits whose fixed points are known."""

import torch

from graphcolumns.nn.dynamics import Circuit, Drive


class Tanh(Circuit):
    """u' = tanh(W u + x) - u, with W of norm 0.4: one fixed point, reached from anywhere."""

    def __init__(self, weight):
        self.weight = weight

    def drive(self, inputs):
        return Drive((inputs,), (self.weight,))

    def initial(self, drive):
        return torch.zeros_like(drive.samples[0])

    def flow(self, state, drive):
        return torch.tanh(state @ drive.shared[0].T + drive.samples[0]) - state

    def step_limit(self, drive):
        return 2 / 1.4


class Linear(Circuit):
    """u' = x - A u for columns first, with a second tensor v' = u - v that follows; A symmetric."""

    batch_dim = 1

    def __init__(self, matrix):
        self.matrix = matrix

    def drive(self, inputs):
        return Drive((inputs,), (self.matrix,))

    def initial(self, drive):
        return (torch.zeros_like(drive.samples[0]), torch.zeros_like(drive.samples[0]))

    def flow(self, state, drive):
        u, v = state
        return (drive.samples[0] - torch.einsum("nm,mbc->nbc", drive.shared[0], u), u - v)

    def output(self, state, drive):
        return state[1]

    def step_limit(self, drive):
        return 2 / max(1.0, float(torch.linalg.eigvalsh(drive.shared[0])[-1]))


def tanh_weight(size=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(size, size, dtype=torch.float64, generator=generator)
    return 0.4 * weight / torch.linalg.matrix_norm(weight, 2)


def positive(size=5, condition=20.0, seed=0):
    """A symmetric matrix with eigenvalues from 1 to ``condition``."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator))[0]
    values = torch.linspace(1, condition, size, dtype=torch.float64)
    return basis @ torch.diag(values) @ basis.T
