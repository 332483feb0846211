"""One linear map per column: by hand, against the reference, and its errors."""

import pytest
import torch
from torch import Tensor

from graphcolumns import untied_linear
from tests.ops.support.cases import exactly
from tests.ops.support.recurrence import draw


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = torch.einsum("nbi,nio->nbo", x, weight)
    return y if bias is None else y + bias[:, None, :]


def _gradients(grad: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    grad_x = torch.einsum("nbo,nio->nbi", grad, weight)
    grad_weight = torch.einsum("nbi,nbo->nio", x, grad)
    return grad_x, grad_weight, grad.sum(1)


class TestLinear:
    def test_by_hand(self):
        x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
        weight = torch.tensor([[[1.0], [10.0]], [[-1.0], [0.5]]])
        assert untied_linear(x, weight).flatten().tolist() == [21.0, -1.0]
        bias = torch.tensor([[100.0], [1000.0]])
        assert untied_linear(x, weight, bias).flatten().tolist() == [121.0, 999.0]

    @pytest.mark.parametrize("with_bias", [True, False])
    @pytest.mark.parametrize("batch", [0, 1, 3])
    def test_einsum(self, with_bias, batch):
        case = draw(with_bias=with_bias, batch=batch)
        y = untied_linear(*case)
        torch.testing.assert_close(y, _linear(*case))
        arriving = torch.randn_like(y)
        got = torch.autograd.grad(y, case.inputs, arriving)
        expected = _gradients(arriving, case.x, case.weight)
        for a, b in zip(got, expected[: len(got)], strict=True):
            torch.testing.assert_close(a, b)

    def test_every_column_has_its_own_map(self):
        case = draw()
        for column in range(4):
            expected = case.x[column] @ case.weight[column] + case.bias[column]
            torch.testing.assert_close(untied_linear(*case)[column], expected)

    def test_gradcheck(self):
        assert torch.autograd.gradcheck(untied_linear, tuple(draw(channels=3)))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ([4, 8], [4, 8, 8]),
            "x must be [N, B, Cin] and weight [N, Cin, Cout], got [4, 8] and [4, 8, 8]",
        ),
        (
            ([4, 2, 8], [8, 8]),
            "x must be [N, B, Cin] and weight [N, Cin, Cout], got [4, 2, 8] and [8, 8]",
        ),
        (
            ([2, 4, 8], [4, 8, 8]),
            "x [N, B, Cin] must be [4, B, 8] to fit the weights, got [2, 4, 8]",
        ),
        (
            ([4, 2, 7], [4, 8, 8]),
            "x [N, B, Cin] must be [4, B, 8] to fit the weights, got [4, 2, 7]",
        ),
        (
            ([4, 2, 8], [4, 8, 6], [6]),
            "bias must be [N, Cout] = [4, 6], got [6]",
        ),
        (
            ([4, 2, 8], [4, 8, 6], [4, 8]),
            "bias must be [N, Cout] = [4, 6], got [4, 8]",
        ),
    ],
)
def test_shapes(shapes, message):
    with pytest.raises(ValueError, match=exactly(message)):
        untied_linear(*(torch.zeros(shape) for shape in shapes))
