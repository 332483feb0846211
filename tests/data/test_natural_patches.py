import pytest
import torch

from graphcolumns.data import natural_patches


def test_shapes_task_and_scale():
    data = natural_patches(size=6, count=300, noise=0.5)
    assert data.train_inputs.shape == (150, 1, 6, 6)
    assert (data.task.name, data.num_classes) == ("reconstruction", 36)
    assert data.train_targets.std().item() == pytest.approx(1, abs=0.01)
    assert (data.train_inputs - data.train_targets).std().item() == pytest.approx(0.5, abs=0.02)
    assert (data.test_inputs - data.test_targets).std().item() == pytest.approx(0.5, abs=0.02)


def test_neighbouring_pixels_are_correlated_until_whitened():
    def correlation(patches: torch.Tensor) -> float:
        a, b = patches[:, 0, 3, 3], patches[:, 0, 3, 4]
        return torch.corrcoef(torch.stack([a, b]))[0, 1].item()

    assert correlation(natural_patches(count=2000).train_targets) > 0.7
    assert abs(correlation(natural_patches(count=2000, whitened=True).train_targets)) < 0.1


def test_training_and_test_patches_share_no_pixel():
    # Without noise a shared patch would be equal in both halves; patches of one pixel meet often
    # by value, large ones never.
    data = natural_patches(size=32, count=400, noise=0.0)
    train, test = data.train_targets.flatten(1), data.test_targets.flatten(1)
    assert torch.cdist(train, test).min() > 0.1


def test_the_seed_decides():
    a, b, c = (natural_patches(count=20, seed=seed).train_inputs for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, r"size must be in \[1, 320\], within a photograph. Got 0"),
        ({"size": 321}, "Got 321"),
        ({"count": 1}, "count >= 2"),
        ({"noise": -0.1}, "noise >= 0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        natural_patches(**arguments)
