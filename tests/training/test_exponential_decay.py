"""A learning rate that decays exponentially."""

import pytest

from graphcolumns.training import exponential_decay


def test_the_share_after_every_epoch():
    shares = [exponential_decay(step, 40, epochs=4, rate=0.5) for step in (0, 10, 20, 39)]
    assert shares[:3] == [1.0, 0.5, 0.25]
    assert shares[3] == pytest.approx(0.5**3.9)


def test_a_rate_of_nothing():
    with pytest.raises(ValueError, match="rate must be above 0"):
        exponential_decay(0, 10, epochs=1, rate=0.0)
