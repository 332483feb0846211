"""A learning rate that decays exponentially."""

from __future__ import annotations


def exponential_decay(step: int, steps: int, epochs: int, rate: float) -> float:
    r"""A schedule: the learning rate is multiplied by ``rate`` once per epoch, smoothly.

    .. math::
        s(t) = \rho^{\,E t / T}

    Args:
        step: Number of the step ``t``, from 0.
        steps: Length of the run ``T``, in steps.
        epochs: Length of the run ``E``, in epochs.
        rate: Share ``rho`` that is left after an epoch, above 0.

    Returns:
        Share of the highest learning rate.

    Raises:
        ValueError: ``rate`` is not above 0.

    Example:
        >>> from graphcolumns.training import exponential_decay
        >>> round(exponential_decay(step=10, steps=100, epochs=10, rate=0.95), 6)
        0.95
    """
    if not rate > 0:
        raise ValueError(f"rate must be above 0. Got {rate!r}; pass 0.95, or leave it out.")
    return float(rate ** (epochs * step / steps))
