"""Fixtures for the tests of ops."""

import pytest

from graphcolumns.ops.untied_linear import steps


@pytest.fixture
def small(monkeypatch):
    """Weights of a test are small; take them for large."""
    monkeypatch.setattr(steps, "SMALLEST", 0)
    monkeypatch.setattr(steps, "ROOM_FOR_TWO", 1)
