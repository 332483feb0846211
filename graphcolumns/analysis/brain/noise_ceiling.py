"""Noise ceilings of responses that were measured several times."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

# Vertices at a time: float64 copies of all of them would not fit beside the responses.
CHUNK = 4096

Estimator = Literal["trials", "means"]


class Variances(NamedTuple):
    """Variance of single trials in two parts, for each vertex. ``total`` is their sum.

    Attributes:
        signal: Variance over images of the response without noise, ``[V]`` float64. An estimate:
            it is negative for some of the vertices that have no signal.
        noise: Variance over repeats of one image, ``[V]`` float64.
        images: Number of images that were shown at least twice, ``[V]`` int64.
    """

    signal: Tensor
    noise: Tensor
    images: Tensor

    @property
    def total(self) -> Tensor:
        """Variance of single trials, ``[V]``."""
        return self.signal + self.noise

    @property
    def ncsnr(self) -> Tensor:
        """Signal-to-noise ratio ``sqrt(max(signal, 0) / noise)``, ``[V]``: infinite without noise.

        0 where nothing varies.
        """
        signal = self.signal.clamp(min=0)
        return torch.where(signal > 0, signal / self.noise, 0.0).sqrt()


def trial_variances(responses: Tensor, estimator: Estimator = "trials") -> Variances:
    r"""Signal and noise variance of repeated measurements.

    The model is :math:`y_{ik} = s_i + e_{ik}` for repeat :math:`k` of image :math:`i`. The noise
    variance is the mean over images of the variance over their repeats (divided by
    :math:`n_i - 1`). For the variance of the signal there are two estimators:

    - ``"trials"``: variance of all trials minus noise variance, as for the Natural Scenes Dataset.
      Its mean is :math:`\sigma_s^2 (n K - K) / (n K - 1)` for ``n`` images of ``K`` repeats: too
      small by at most one part in ``n``;
    - ``"means"``: variance over images of their means, minus noise variance times the mean of
      :math:`1 / n_i`. Unbiased, for unequal numbers of repeats too.

    Only images with at least two repeats are used, for each vertex on its own.

    Args:
        responses: Responses to ``n`` images of up to ``K`` repeats each, ``[n, K, V]``; NaN where a
            repeat was not measured.
        estimator: Estimator of the signal variance, ``"trials"`` or ``"means"``.

    Raises:
        ValueError: Another shape, fewer than two repeats, or vertices with fewer than two images
            that were repeated.

    Source: Allen et al., A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
        intelligence, Nature Neuroscience 2022, https://doi.org/10.1038/s41593-021-00962-x.
    """
    check_repeats(responses)
    if estimator not in ("trials", "means"):
        raise ValueError(f"estimator must be 'trials' or 'means'. Got {estimator!r}.")
    parts = [_variances(part.double(), estimator) for part in responses.split(CHUNK, dim=2)]
    found = Variances(*(torch.cat(values) for values in zip(*parts, strict=True)))
    if int(found.images.min()) < 2:
        raise ValueError(
            "every vertex needs at least two images with two repeats. Got "
            f"{int((found.images < 2).sum())} vertices with fewer; leave them out."
        )
    return found


def noise_ceiling(ncsnr: Tensor, repeats: float | Tensor = 1) -> Tensor:
    r"""Share of the variance of averaged responses that a perfect model explains, ``[V]``.

    .. math::
        \mathrm{NC} = \frac{\mathrm{ncsnr}^2}{\mathrm{ncsnr}^2 + \overline{1 / n_i}}

    with the mean of :math:`1 / n_i` over the images that are scored, which is :math:`1/n` where
    each was shown ``n`` times. It is the square of the largest correlation, see
    ``largest_correlation``, and a fraction: 0.36 is 36 percent.

    Args:
        ncsnr: Signal-to-noise ratio of every vertex, ``[V]``, at least 0: standard deviation of the
            signal over that of the noise of one trial. NaN counts as 0.
        repeats: Number of trials that are averaged for every image, or for each of the images that
            are scored, ``[n]``.

    Raises:
        ValueError: A ratio below 0, or an image with less than one trial.

    Source: Allen et al., A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
        intelligence, Nature Neuroscience 2022, https://doi.org/10.1038/s41593-021-00962-x.
    """
    counts = torch.as_tensor(repeats, dtype=torch.float64, device=ncsnr.device)
    if not counts.numel() or not bool((counts >= 1).all()):
        least = float(counts.min()) if counts.numel() else "none"
        raise ValueError(f"repeats must be 1 or above for every image. Got {least}.")
    if bool((ncsnr < 0).any()):
        raise ValueError(
            f"ncsnr must be 0 or above. Got {float(ncsnr[ncsnr < 0].min()):.4g}; a variance below "
            "0 counts as 0."
        )
    noise = counts.reciprocal().mean()
    # In this form an infinite ratio gives 1.
    ratio = ncsnr.double().nan_to_num(0.0, posinf=torch.inf)
    return 1 / (1 + noise / ratio.square())


def largest_correlation(ceiling: Tensor) -> Tensor:
    """Correlation of a perfect model with the averaged responses, ``sqrt(NC)``, ``[V]``.

    Args:
        ceiling: Noise ceiling of every vertex, ``[V]`` in [0, 1]: a share of variance.
    """
    return ceiling.sqrt()


def check_repeats(responses: Tensor) -> None:
    """Raise unless these are repeated responses, ``[n, K, V]`` with ``n`` and ``K`` at least 2."""
    if not responses.is_floating_point():
        raise TypeError(
            f"responses must be a floating tensor. Got {responses.dtype}; call .float()."
        )
    if responses.ndim != 3 or responses.shape[0] < 2 or responses.shape[1] < 2:
        raise ValueError(
            "responses must be [images, repeats, vertices], at least two of the first two. Got "
            f"{list(responses.shape)}."
        )
    if not responses.shape[2]:
        raise ValueError(f"responses must have a vertex. Got {list(responses.shape)}.")


def _variances(responses: Tensor, estimator: Estimator) -> Variances:
    known = ~responses.isnan()
    # Images that were shown once say nothing of the noise.
    known &= known.sum(1, keepdim=True) >= 2
    count = known.sum(1)
    used = count >= 2
    images = used.sum(0)
    sums = torch.where(known, responses, 0.0).sum(1)
    means = sums / count.clamp(min=1)
    inside = torch.where(known, responses - means[:, None], 0.0).square().sum(1)
    noise = (inside / (count - 1).clamp(min=1)).sum(0) / images
    if estimator == "means":
        centre = torch.where(used, means, 0.0).sum(0) / images
        between = torch.where(used, means - centre, 0.0).square().sum(0) / (images - 1)
        fraction = torch.where(used, 1 / count.clamp(min=1), 0.0).sum(0) / images
        return Variances(between - noise * fraction, noise, images)
    trials = count.sum(0)
    centre = sums.sum(0) / trials
    total = torch.where(known, responses - centre, 0.0).square().sum((0, 1)) / (trials - 1)
    return Variances(total - noise, noise, images)
