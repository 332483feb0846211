import torch
from hypothesis import given
from hypothesis import strategies as st

from graphcolumns.random.streams import batch_indices, derive, generator


def test_seeds_are_fixed_for_all_time():
    # `printf '0/order/0' | b2sum -l 64`, halved. Another hash would change every published run.
    assert derive(0, "order") == 1829853113658518448
    assert derive(1, "dropout", 7) == 1380361523798732636


def test_streams_and_numbers_differ():
    seeds = {
        derive(s, name, n) for s in range(3) for name in ("order", "dropout") for n in range(9)
    }
    assert len(seeds) == 3 * 2 * 9


def test_a_generator_starts_afresh():
    assert torch.equal(
        torch.rand(3, generator=generator(1, "x", 2)), torch.rand(3, generator=generator(1, "x", 2))
    )


@given(samples=st.integers(1, 12), batch=st.integers(1, 30), seed=st.integers(0, 3))
def test_every_epoch_sees_every_sample_once(samples, batch, seed):
    count = 3 * samples // batch + 1
    batches = [batch_indices(step, batch, samples, seed) for step in range(count)]
    assert all(len(chosen) == batch for chosen in batches)
    stream = torch.cat(batches)
    for epoch in range(len(stream) // samples):
        part = stream[epoch * samples : (epoch + 1) * samples]
        assert part.sort().values.tolist() == list(range(samples))


def test_epochs_and_seeds_have_different_orders():
    first, second = (batch_indices(step, 50, 50, seed=0) for step in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, batch_indices(0, 50, 50, seed=1))
    assert torch.equal(first, batch_indices(0, 50, 50, seed=0))
