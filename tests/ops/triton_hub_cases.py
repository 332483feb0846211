"""Attention in Triton where some rows are far longer than others. See triton_cases."""

import pytest
import torch

from graphcolumns.ops.column_attention import reference
from graphcolumns.ops.column_attention.inputs import (
    AttentionInputs,
    OutputGradients,
    SavedOutputs,
)
from graphcolumns.ops.column_attention.triton import backend as triton
from graphcolumns.ops.column_attention.triton import hubs as triton_hubs
from graphcolumns.ops.column_attention.triton.hubs import CUTS, Cut
from graphcolumns.ops.column_attention.triton.segments import Segments
from tests.ops.support.cases import Case, draw, graph_of
from tests.ops.triton_cases import DEVICE, HALF, OPTIONS, check, on_device, skewed


def of_degrees(degrees: tuple[int, ...], sources: int) -> torch.Tensor:
    mask = torch.arange(sources) < torch.tensor(degrees)[:, None]
    return mask[:, torch.randperm(sources, generator=torch.Generator().manual_seed(0))]


def passes(kernel, case: Case, dropout: float = 0.0) -> list[torch.Tensor]:
    """Outputs and gradients of one implementation, called as the op calls it."""
    seed = torch.tensor(7, device=case.q.device) if dropout else None
    tensors = [None if x is None else x.detach() for x in case[2:]]
    inputs = AttentionInputs(*tensors, case.graph.views, 0.4, dropout, seed)
    found = kernel.forward(inputs)
    generator = torch.Generator().manual_seed(1)
    arriving = [torch.randn(x.shape, generator=generator).to(x) for x in found[:3]]
    saved = SavedOutputs(found.out, found.total, found.highest, found.log_mass)
    grads = kernel.backward(OutputGradients(*arriving), inputs, saved)
    return [x for x in (*found, *grads) if x is not None]


def assert_near(got: list, expected: list, tolerance: float) -> None:
    for x, y in zip(got, expected, strict=True):
        torch.testing.assert_close(x.cpu().double(), y, rtol=0, atol=tolerance * (1 + _largest(y)))


def _largest(x: torch.Tensor) -> float:
    finite = x[x.isfinite()]
    return float(finite.abs().max()) if len(finite) else 0.0


class TestTables:
    def test_by_hand(self):
        """Rows of 0, 5, 2 and 4 edges in segments of 2: 1 + 3 + 1 + 2, and two to spare."""
        cut = Segments.of(torch.tensor([0, 0, 5, 7, 11]), 11, 2)
        assert cut.pointers.tolist() == [0, 0, 2, 4, 5, 7, 9, 11, 11, 11]
        assert cut.row.tolist() == [0, 1, 1, 1, 2, 3, 3, 3, 3]
        assert cut.first.tolist() == [0, 1, 4, 5, 7]

    @pytest.mark.parametrize("longest", [1, 2, 3, 256])
    def test_every_edge_once(self, longest):
        degree = torch.randint(0, 9, (20,))
        pointers = torch.nn.functional.pad(degree.cumsum(0), (1, 0))
        cut = Segments.of(pointers, int(degree.sum()), longest)
        sizes = cut.pointers.diff()
        assert 0 <= sizes.min() <= sizes.max() <= longest
        assert torch.equal(torch.zeros(20).long().index_add(0, cut.row, sizes), degree)
        assert (cut.row.diff() >= 0).all()


class TestExact:
    @pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
    def test_options(self, options):
        case = draw(skewed(5, 9), **options)
        assert_near(passes(Cut(1, 4), on_device(case)), passes(reference, case), 1e-5)

    @pytest.mark.parametrize("cut", [Cut(3, None), Cut(None, 3), Cut(3, 2)])
    @pytest.mark.parametrize("widths", [(5, 17), (17, 1)])
    def test_widths_and_dropout(self, cut, widths):
        case = draw(skewed(7, 9), 3, 3, *widths)
        expected = passes(reference, case, dropout=0.3)
        assert_near(passes(cut, on_device(case), dropout=0.3), expected, 1e-5)

    def test_a_row_of_one_segment_is_as_without(self):
        """The same rows in the same tiles: to the last bit."""
        case = on_device(draw(skewed(6, 8), value_width=5))
        for x, y in zip(passes(Cut(8, 8), case), passes(triton, case), strict=True):
            assert torch.equal(x, y)

    def test_closed_segments(self):
        """-inf biases: all of a segment, all of a column."""
        case = draw(torch.ones(3, 6).bool(), bias="E")
        with torch.no_grad():
            case.bias[0:4] = case.bias[6:12] = -float("inf")
        got = passes(Cut(2, 2), on_device(case))
        assert_near(got, passes(reference, case), 1e-5)
        assert (got[0][1] == 0).all()
        assert (got[2][1] == -float("inf")).all()

    @pytest.mark.parametrize("dtype", HALF, ids=str)
    def test_half_types_are_rounded_once(self, dtype):
        case = draw(skewed(3, 24), width=8).to(dtype).to(torch.float64)
        got, exact = passes(Cut(4, 4), on_device(case, dtype)), passes(reference, case)
        assert got[0].dtype == got[5].dtype == dtype
        close = torch.testing.assert_close
        close(got[0].cpu().double(), exact[0], rtol=HALF[dtype], atol=1e-6)
        assert_near(got[5:], exact[5:], 4 * HALF[dtype])

    def test_twice_the_same_bits(self):
        case = on_device(draw(skewed(4, 12)))
        first, again = (passes(Cut(4, 4), case, dropout=0.2) for _ in range(2))
        for x, y in zip(first, again, strict=True):
            assert torch.equal(x, y)

    def test_no_batch(self):
        case = on_device(draw(skewed(3, 5), batch=0, cost=None))
        got = passes(Cut(2, 2), case)
        assert got[0].shape == (3, 0, 2, 3)
        assert all((x == 0).all() for x in got[5:])


class TestGraphs:
    def test_degrees(self):
        """Every kind of row in one graph; 1,000 edges are three segments of 256 and a rest."""
        case = draw(of_degrees((0, 1, 255, 256, 257, 1000, 0, 1, 2), 1000), 2, 3, 5)
        assert case.graph.hubs == (True, False)
        with torch.no_grad():
            got, again = (on_device(case).run("triton", dropout=0.2, seed=5) for _ in range(2))
            expected = case.run("reference", dropout=0.2, seed=5)
        assert_near(list(got), list(expected), 1e-5)
        for x, y in zip(got, again, strict=True):
            assert torch.equal(x, y)

    def test_gradients(self, monkeypatch):
        """A hub among the columns of a bipartite graph, through autograd."""
        case = draw(of_degrees((0, 1, 40, 257, 3, 0), 257), 1, 1, 3, 2, bias="E", cost=None)
        taken = []

        def spy(self, *given):
            taken.append(self)
            return triton.backward(*given, longest=(self.columns, self.sources))

        monkeypatch.setattr(Cut, "backward", spy)
        check(case, 2e-5)
        assert taken == [Cut(256, None)]

    def test_the_pass_that_meets_the_hub_is_cut(self):
        inward = graph_of(of_degrees((0, 1, 40, 257, 3, 0), 257))
        outward = inward.reverse()
        cuts = [CUTS[triton_hubs.for_graph(graph)] for graph in (inward, outward)]
        assert cuts == [Cut(256, None), Cut(None, 256)]
        mask = torch.eye(300).bool()
        mask[0] = mask[:, 0] = True
        assert CUTS[triton_hubs.for_graph(graph_of(mask))] == Cut(256, 256)

    def test_backward_may_be_differentiated(self):
        case = draw(of_degrees((257, 1, 0, 2), 257), 1, 1, 1, 1, bias=None, cost=None)
        narrow = on_device(case)
        twice = []
        for run in (narrow.run("triton"), case.run("reference")):
            given = narrow if run.out.dtype == torch.float32 else case
            once = torch.autograd.grad(run.out.sum(), given.q, create_graph=True)[0]
            twice.append(torch.autograd.grad((once**2).sum(), given.k)[0].cpu().double())
        torch.testing.assert_close(*twice, rtol=1e-4, atol=1e-5)

    def test_others_make_the_launches_that_they_made(self, monkeypatch):
        def never(*arguments):
            raise AssertionError("no row is long")

        monkeypatch.setattr(Segments, "of", never)
        case = draw(of_degrees((0, 1, 256), 256), 1, 1, 1, 1, bias=None, cost=None)
        on_device(case).run("triton")
        full = graph_of(torch.ones(2, 300).bool()).to(DEVICE)  # long, but none longer than others
        assert triton_hubs.for_graph(full) == "triton"
