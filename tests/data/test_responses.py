import pytest
import torch

from graphcolumns.data import responses


def test_gaps_noise_and_ceiling():
    data = responses(units=5, noise=1.0, missing=0.25)
    gaps = data.train_targets.isnan().double().mean().item()
    assert data.train_targets.shape == (898, 5)
    assert gaps == pytest.approx(0.25, abs=0.02)
    assert data.train_targets.nanmean().item() == pytest.approx(0, abs=0.05)
    assert torch.equal(data.task.noise_ceiling, torch.full((5,), 0.5))


def test_without_noise_a_unit_is_a_function_of_the_image():
    data, again = responses(units=3, noise=0.0, missing=0.0), responses(3, 0.0, 0.0)
    assert torch.equal(data.test_targets, again.test_targets)
    assert data.train_targets.std(0).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    # The ceiling is reached by the answers themselves.
    prediction = data.test_targets.clone()
    assert float(data.task.metrics["r2"].function(prediction, data.test_targets)) == 1.0


def test_the_seed_decides():
    one, other = (responses(seed=seed).train_targets.nan_to_num() for seed in (0, 1))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("wrong", [{"units": 0}, {"noise": -1.0}, {"missing": 1.0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"units >= 1, noise >= 0"):
        responses(**wrong)
