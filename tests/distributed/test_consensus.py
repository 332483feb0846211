"""Several processes that train one sheet: the same edges, parameters and clocks everywhere."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphcolumns.distributed.consensus import require_same_edges
from graphcolumns.graph.keys import edge_keys
from graphcolumns.plasticity import criteria
from graphcolumns.plasticity.probe.trace import trace
from tests.distributed.support.ranks import BLIND, SEEING, SIZES, digest, life, work
from tests.plasticity.support.learners import LOSSES, learner, rows
from tests.plasticity.support.stand_in import candidates

# Four processes import torch.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> list[dict]:
    """What each of four processes has to tell."""
    folder = str(tmp_path_factory.mktemp("ranks"))
    torch.multiprocessing.spawn(work, (folder,), nprocs=max(SIZES))
    return [torch.load(f"{folder}/{rank}.pt") for rank in range(max(SIZES))]


@pytest.mark.parametrize(
    ("size", "name"),
    [(2, name) for name in BLIND] + [(4, name) for name in [*BLIND, *SEEING]],
)
def test_every_process_has_the_same_model(name, size, told):
    """Edges, parameters, moments and clocks, bit for bit; their data differ."""
    first = told[0][str(size)][name]
    assert [part[str(size)][name] for part in told] == [first] * len(told)


@pytest.mark.parametrize("name", BLIND)
def test_rules_that_read_no_data_choose_alike_on_any_number_of_processes(name, told):
    alone, _, _ = life(BLIND[name]())
    assert [told[0][str(size)][name][0] for size in SIZES] == [alone, alone]


def test_the_number_of_processes_is_not_without_effect(told):
    """Else there would be nothing to compare: sums in another order are rounded differently."""
    two, four = (told[0][str(size)]["random"][1] for size in SIZES)
    assert two != four


@pytest.mark.parametrize("name", [*BLIND, *SEEING])
def test_something_is_rewired(name, told):
    edges = [digest([edge_keys(learner().graph)]), *told[0]["4"][name][0]]
    assert (len(set(edges)) > 1) == (name != "static")


def test_who_does_not_wrap_again_is_told_one_step_too_late(told):
    """The first step after an update averages no gradients, so the processes drift apart."""
    updated, stepped, error = zip(*(part["forgetful"] for part in told), strict=True)
    assert len(set(updated)) == 1
    assert len(set(stepped)) == len(told)
    assert all("Expected to have finished reduction" in said for said in error)


def test_other_edges_on_another_process_are_refused_before_anything_is_changed(told):
    before = digest([edge_keys(learner().graph)])
    for rank, part in enumerate(told):
        said, after = part["seeds"]
        assert "must choose the same edges" in said
        assert (
            f"4 different graphs on 4 processes; that of rank {rank} is on the ranks [{rank}]"
            in said
        )
        assert after == before


def test_a_process_alone_is_never_asked():
    require_same_edges(learner().graph)


@settings(max_examples=10)
@given(st.permutations(range(12)), st.integers(1, 11), st.integers(0, 99))
def test_scores_of_two_halves_are_those_of_the_whole(order, cut, seed):
    """Also where their gradients cancel: signs are summed, not sizes."""
    model, data = learner(seed=seed), rows()
    inputs, labels = data.train_inputs[order], data.train_targets[order]
    pairs = torch.randint(16, (2, 20), generator=torch.Generator().manual_seed(seed))

    def of(part: slice):
        return trace(model, inputs[part], labels[part], LOSSES, *pairs)

    first, second, whole = of(slice(cut)), of(slice(cut, None)), of(slice(None))
    assert (first.gate * second.gate < 0).any()
    both = first + second
    torch.testing.assert_close(both.sums(), whole.sums(), rtol=1e-4, atol=1e-5)
    sizes = [criteria.gradient_size(candidates(scores=scores)) for scores in (both, whole)]
    torch.testing.assert_close(*sizes, rtol=1e-4, atol=1e-5)
