"""Arguments of edge_scores that do not fit, and how much memory it takes."""

import pytest
import torch

from graphcolumns.ops.edge_scores import edge_scores, reference
from tests.ops.support.cases import MASKS
from tests.ops.support.score_cases import draw_steps


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": torch.zeros(4, 4, 2, 3)}, r"q, k, v must be \[T, N, B, H, D\].*q\[None\]"),
        ({"q": torch.zeros(3, 4, 2, 2, 3)}, "q must have a batch of 1 or 4 like k, got 2"),
        ({"q": torch.zeros(0, 4, 4, 2, 3)}, "at least one step"),
        ({"k": torch.zeros(3, 4, 4, 2, 5)}, r"q must be \[3, 4, 4, 2, 5\], got"),
        ({"lse": torch.zeros(3, 4, 4)}, r"lse must be \[3, 4, 4, 2\], got \[3, 4, 4\]"),
        ({"out": torch.zeros(3, 4, 4, 2, 9)}, r"out must be \[3, 4, 4, 2, 2\]"),
        ({"grad_out": torch.zeros(3, 4, 4, 2, 2).long()}, "grad_out must be floating"),
        ({"targets": torch.zeros(3).long()}, r"same length, \[P\], got \[3\] and \[16\]"),
        ({"targets": torch.full((16,), 4)}, "targets must be ids from 0 to 3, got ids from 4 to 4"),
        ({"sources": torch.full((16,), -1)}, "sources must be ids from 0 to 3"),
        ({"sources": torch.zeros(16)}, "sources must be int32 or int64"),
        ({"bias": torch.zeros(16, 3)}, r"\[P, H\] = \[16, 2\] or \[T, P, H\] = \[3, 16, 2\]"),
        ({"bias": torch.zeros(16).long()}, r"call bias.float\(\)"),
        ({"sole": torch.zeros(16)}, "one bool per pair"),
        ({"chunk": 0}, "chunk must be at least 1, got 0"),
        ({"slice_size": -1}, "slice_size must be at least 1, got -1"),
        ({"grad_out": torch.zeros(3, 4, 4, 2, 2, device="meta")}, "device of q, cpu, got meta"),
        ({"backend": "magic"}, "backend must be 'auto' or one of .*'reference'.*, got 'magic'"),
    ],
)
def test_errors_name_the_rule(change, message):
    steps = draw_steps(MASKS["sparse"])
    names = ("q", "k", "v", "lse", "out", "grad_out", "targets", "sources")
    arguments = {name: getattr(steps, name) for name in names} | change
    with pytest.raises((ValueError, TypeError), match=message):
        edge_scores(**arguments)


class TestMemory:
    """The largest tensor that is ever made, seen through torch's dispatcher."""

    def test_nothing_grows_with_columns_squared_or_pairs_times_samples(self):
        columns, batch, pairs = 300, 32, 2000
        largest = 0

        class Watch(torch.utils._python_dispatch.TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                nonlocal largest
                result = func(*args, **(kwargs or {}))
                outputs = result if isinstance(result, (tuple, list)) else [result]
                sizes = [x.untyped_storage().nbytes() for x in outputs if torch.is_tensor(x)]
                inputs = {x.untyped_storage().data_ptr() for x in given}
                shared = any(
                    torch.is_tensor(x) and x.untyped_storage().data_ptr() in inputs for x in outputs
                )
                largest = largest if shared else max([largest, *sizes])
                return result

        q = torch.randn(1, columns, batch, 1, 2)
        lse, ids = torch.zeros(1, columns, batch, 1), torch.randint(columns, (pairs,))
        given = [q, lse, ids]
        with Watch():
            edge_scores(q, q, q, lse, q, q, ids, ids, chunk=250, slice_size=4)
        # Ten sums per pair, or the effects of a chunk; pairs x B would be 256 kB, N x N 360 kB.
        assert largest <= 4 * max(10 * pairs, 7 * 250 * 4, columns * 4 * 2)

    def test_chunks_hold_a_bounded_number_of_values(self, monkeypatch):
        monkeypatch.setattr(reference, "NUMBERS", 64)
        steps = draw_steps(MASKS["every degree"])
        monkeypatch.setattr(reference, "SLICE", 2)
        seen = []
        original = reference._effects
        monkeypatch.setattr(reference, "_effects", lambda *x: seen.append(original(*x)) or seen[-1])
        steps.run()
        assert {x.shape[1] for x in seen[:-1]} <= {5, 2}  # 64 // (2 samples x 2 heads x 3)
        assert {x.shape[2] for x in seen} == {2}
